//! Reads the fields that say the group and the cost of a job: `group = tenant, cost = pages`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Fields, Member};

use crate::attributes::{Attribute, Attributes};
use crate::errors::Errors;
use crate::fields;

/// The fields of a kind that say the group and the cost of its jobs.
#[derive(Clone, Default)]
pub(crate) struct Flow {
    pub(crate) group: Option<Member>,
    pub(crate) cost: Option<Member>,
}

impl Flow {
    /// Reads the attributes. `fields` are those of the struct or the variant; `None` for an enum as a
    /// whole.
    pub(crate) fn read(
        attributes: &Attributes,
        fields: Option<&Fields>,
        errors: &mut Errors,
    ) -> Self {
        let mut read = |name: &str| {
            attributes.get(name).and_then(|attribute| errors.catch(field(attribute, fields)))
        };
        Self { group: read("group"), cost: read("cost") }
    }
}

fn field(attribute: &Attribute, fields: Option<&Fields>) -> syn::Result<Member> {
    let name = &attribute.name;
    let Some(fields) = fields else {
        let message = format!("`{name}` names a field: write it on each variant that has one");
        return Err(syn::Error::new_spanned(&attribute.value, message));
    };
    let example = if name == "cost" { "pages" } else { "tenant" };
    let expected = format!("`{name}` takes the name of a field, such as `{name} = {example}`");
    let member = fields::member(&attribute.value, &expected)?;
    fields::check(&member, fields).map(|()| member)
}

/// Returns the expression of the group, from a reference to its field.
pub(crate) fn group(member: &Member) -> (TokenStream, TokenStream) {
    let read = quote_spanned!(member.span()=> ::std::string::ToString::to_string(__field));
    (quote!({ #member: __field, .. }), read)
}

/// Returns the expression of the cost, from a reference to its field.
pub(crate) fn cost(member: &Member, private: &TokenStream) -> (TokenStream, TokenStream) {
    let read = quote_spanned!(member.span()=> #private::cost(*__field));
    (quote!({ #member: __field, .. }), read)
}
