//! Reads the names and the numbers of fields that attributes give.

use syn::{Error, Expr, ExprLit, Fields, Lit, Member};

use crate::nearest::nearest;

/// Reads the name or the number of a field. `expected` says what the attribute takes.
pub(crate) fn member(expr: &Expr, expected: &str) -> syn::Result<Member> {
    match expr {
        Expr::Path(path) if path.qself.is_none() => {
            let name = path.path.require_ident();
            name.map(|name| Member::Named(name.clone()))
                .map_err(|_| Error::new_spanned(expr, expected))
        }
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.suffix().is_empty() => {
            Ok(Member::Unnamed(syn::Index { index: number.base10_parse()?, span: number.span() }))
        }
        _ => Err(Error::new_spanned(expr, expected)),
    }
}

/// Checks that a struct or a variant has the field.
pub(crate) fn check(member: &Member, fields: &Fields) -> syn::Result<()> {
    if fields.members().any(|field| field == *member) {
        return Ok(());
    }
    let text = |member: Member| match member {
        Member::Named(name) => name.to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    };
    let name = text(member.clone());
    let known: Vec<String> = fields.members().map(text).collect();
    let near = nearest(&name, known.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |field| format!("; did you mean `{field}`?"));
    Err(Error::new_spanned(member, format!("there is no field `{name}` here{near}")))
}
