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
    let SchedulerType { krate, name, jobs, settings, policy } = scheduler;
    let ident = &item.self_ty;
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
    let policy = (!policy.is_empty()).then(|| {
        quote! {
            .policy({
                use #krate as __poolder;
                __poolder::Scheduler::<Self>::default_policy() #(#policy)*
            })
        }
    });
    quote! {
        #[automatically_derived]
        impl #krate::Periodic for #ident {
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
        impl #ident {
            /// Returns the builder of the scheduler, for settings that the attributes do not have.
            pub fn scheduler(self) -> #krate::Scheduler<Self> {
                #krate::Scheduler::new(self) #(#scheduled)* #(#settings)* #policy
            }
        }

        #[automatically_derived]
        impl #krate::Component for #ident {
            fn install(self, node: #krate::NodeBuilder) -> #krate::NodeBuilder {
                #krate::Component::install(self.scheduler(), node)
            }
        }
    }
}
