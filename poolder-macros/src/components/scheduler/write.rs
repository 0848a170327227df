//! The code that `#[scheduler]` generates. It uses nothing but the public builder.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use super::SchedulerType;
use super::methods::Methods;

pub(super) fn component(
    scheduler: &SchedulerType,
    methods: &Methods,
    item: &ItemImpl,
) -> TokenStream {
    let SchedulerType { common, name, queue, jobs, settings } = scheduler;
    let (krate, ty) = (&common.krate, &item.self_ty);
    let (generics, _, clause) = item.generics.split_for_impl();
    let queue_name = queue.as_ref().unwrap_or(name);
    let size = common.size_call();
    let arms = jobs.iter().zip(&methods.jobs).filter_map(|(job, call)| {
        let (name, call) = (&job.name, call.as_ref()?);
        Some(quote!(#name => #krate::IntoThen::into_then(#call.await),))
    });
    let other = if methods.job {
        quote!(_ => #krate::IntoThen::into_then(Self::handle_job(self, job, cx).await),)
    } else {
        quote! {
            other => ::core::result::Result::Err(::std::convert::Into::into(::std::format!(
                "scheduler {:?} has no method for the job {other:?}, and no handle_job",
                #name
            ))),
        }
    };
    let init = methods.init.then(|| {
        quote! {
            async fn handle_init(&mut self) -> #krate::Result<()> {
                Self::handle_init(self).await
            }
        }
    });
    let error = methods.error.then(|| {
        quote! {
            async fn handle_error(
                &mut self,
                job: &str,
                cx: #krate::Context,
                error: &#krate::BoxError,
            ) -> #krate::Verdict {
                Self::handle_error(self, job, cx, error).await
            }
        }
    });
    let stop = methods.stop.then(|| {
        quote! {
            async fn handle_stop(&mut self) {
                Self::handle_stop(self).await;
            }
        }
    });
    let scheduled = jobs.iter().filter_map(|job| {
        let (name, timing) = (&job.name, job.timing.as_ref()?);
        Some(quote!(.job(#name, #timing)))
    });
    let policy = common
        .policy_on(&quote!(#krate::Scheduler::<Self>::default_policy()))
        .map(|policy| quote!(.policy(#policy)));
    quote! {
        #item

        #[automatically_derived]
        impl #generics #krate::Periodic for #ty #clause {
            const NAME: &'static str = #name;

            async fn handle_job(
                &mut self,
                job: &str,
                cx: #krate::Context,
            ) -> #krate::Result<#krate::Then> {
                let _ = &cx;
                match job {
                    #(#arms)*
                    #other
                }
            }

            #init
            #error
            #stop
        }

        #[automatically_derived]
        #[allow(dead_code, reason = "a process may only run the scheduler, or only look at it")]
        impl #generics #ty #clause {
            /// Returns the scheduler with this value.
            #[must_use]
            pub fn scheduler(self) -> #krate::Scheduler<Self> {
                #krate::Scheduler::new(self) #(#scheduled)* #size #(#settings)* #policy
            }

            /// Returns the schedules of the queue of this scheduler.
            #[must_use]
            pub fn on(client: &#krate::Client) -> #krate::Schedules {
                client.schedules(#queue_name)
            }
        }

        #[automatically_derived]
        impl #generics #krate::Component for #ty #clause {
            fn install(self, node: #krate::NodeBuilder) -> #krate::NodeBuilder {
                #krate::Component::install(self.scheduler(), node)
            }
        }
    }
}
