//! One parameter of an operation: its Rust name and type, and how it is written into a request.

use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use serde_json::Value;

use super::Result;

pub struct Parameter {
    /// As the document writes it.
    pub name: String,
    /// `path`, `query` or `header`.
    pub place: String,
    pub is_required: bool,
    description: String,
    kind: Kind,
}

enum Kind {
    Text,
    Number,
    Uuid,
    Day,
    /// One of these; the name of their type.
    Words(String, Value),
}

impl Parameter {
    /// Reads a parameter of the operation of this id.
    pub fn read(operation: &str, parameter: &Value) -> Result<Self> {
        let text = |name: &str| parameter[name].as_str().unwrap_or_default().to_owned();
        let (name, schema) = (text("name"), &parameter["schema"]);
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default();
        let kind = match (kind, schema["format"].as_str()) {
            ("string", _) if schema["enum"].is_array() => {
                let name = format!("{operation}_{name}").to_upper_camel_case();
                Kind::Words(name, schema["enum"].clone())
            }
            ("string", None) => Kind::Text,
            ("string", Some("uuid")) => Kind::Uuid,
            ("string", Some("date")) => Kind::Day,
            ("integer", _) => Kind::Number,
            _ => return Err(format!("the type of parameter {name} of {operation} is not known: {schema}").into()),
        };
        let is_required = parameter["required"] == true;
        Ok(Self { place: text("in"), description: text("description"), is_required, kind, name })
    }

    /// The schema of the words it may be, with the name of its type.
    pub fn words(&self) -> Option<(String, Value)> {
        let Kind::Words(name, words) = &self.kind else { return None };
        Some((name.clone(), serde_json::json!({ "type": "string", "enum": words })))
    }

    /// Its name in Rust.
    pub fn ident(&self) -> Ident {
        let name = self.name.to_snake_case();
        let is_keyword = syn::parse_str::<Ident>(&name).is_err();
        if is_keyword { Ident::new_raw(&name, Span::call_site()) } else { Ident::new(&name, Span::call_site()) }
    }

    /// As an argument of its function.
    pub fn argument(&self) -> TokenStream {
        let (name, kind) = (self.ident(), self.kind(false));
        quote!(#name: #kind)
    }

    /// As a field of the optional ones.
    pub fn field(&self) -> TokenStream {
        let (name, kind, description) = (self.ident(), self.kind(true), &self.description);
        quote! {
            #[doc = #description]
            pub #name: Option<#kind>
        }
    }

    fn kind(&self, is_owned: bool) -> TokenStream {
        match &self.kind {
            Kind::Text if is_owned => quote!(String),
            Kind::Text => quote!(&str),
            Kind::Number => quote!(i64),
            Kind::Uuid => quote!(uuid::Uuid),
            Kind::Day => quote!(chrono::NaiveDate),
            Kind::Words(name, _) => {
                let name = Ident::new(name, Span::call_site());
                quote!(types::#name)
            }
        }
    }
}
