//! The operations of a document, each as a function: what its path, query and header must have as arguments, what they may have
//! in a struct of its own, a typed body, and the typed answer of success. Every other answer is an error of the function.

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use serde_json::Value;

use super::Result;
use super::parameters::Parameter;
use super::schemas::{clearable, name_of, type_name};

pub struct Operation {
    pub id: String,
    pub body: Option<Body>,
    method: String,
    path: String,
    summary: String,
    parameters: Vec<Parameter>,
    answer: Answer,
    /// All statuses that are described.
    statuses: Vec<u16>,
}

/// What is sent.
pub enum Body {
    /// JSON of this schema.
    Json(Value),
    /// A merge patch of this schema.
    Patch(Value),
    /// A file of one of these media types.
    File(Vec<String>),
}

/// What success is answered with.
enum Answer {
    Nothing,
    /// JSON of the schema with this name, or of none.
    Json(Option<String>),
    /// Bytes of one of these media types.
    Bytes(Vec<String>),
}

/// Reads every operation.
pub fn read(document: &Value) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            operations.push(Operation::read(path, method, operation)?);
        }
    }
    Ok(operations)
}

impl Body {
    fn read(body: &Value) -> Result<Option<Self>> {
        let Some(content) = body["content"].as_object() else { return Ok(None) };
        let media_types: Vec<String> = content.keys().cloned().collect();
        let schema = || content.values().next().map(|content| content["schema"].clone()).unwrap_or_default();
        Ok(Some(match media_types.as_slice() {
            [one] if one == "application/json" => Self::Json(schema()),
            [one] if one == "application/merge-patch+json" => Self::Patch(schema()),
            several if several.iter().all(|one| !one.ends_with("json")) => Self::File(media_types),
            _ => return Err(format!("a body of these media types is not known: {media_types:?}").into()),
        }))
    }

    /// The schema of what is sent.
    pub fn schema(&self) -> Option<&Value> {
        match self {
            Self::Json(schema) | Self::Patch(schema) => Some(schema),
            Self::File(_) => None,
        }
    }
}

impl Answer {
    fn read(response: &Value) -> Result<Self> {
        let Some(content) = response["content"].as_object() else { return Ok(Self::Nothing) };
        let Some(json) = content.get("application/json") else {
            return Ok(Self::Bytes(content.keys().cloned().collect()));
        };
        let is_named = json["schema"]["$ref"].is_string();
        Ok(Self::Json(is_named.then(|| name_of(&json["schema"]).map(type_name)).transpose()?))
    }

    fn kind(&self) -> TokenStream {
        match self {
            Self::Nothing => quote!(()),
            Self::Json(None) => quote!(serde_json::Value),
            Self::Json(Some(name)) => {
                let name = ident(name);
                quote!(types::#name)
            }
            Self::Bytes(_) => quote!(bytes::Bytes),
        }
    }

    /// The media types it may have, and the function that reads it.
    fn reader(&self) -> (Vec<String>, TokenStream) {
        match self {
            Self::Nothing => (Vec::new(), quote!(read::nothing)),
            Self::Json(_) => (vec!["application/json".to_owned()], quote!(read::json)),
            Self::Bytes(media_types) => (media_types.clone(), quote!(read::bytes)),
        }
    }
}

impl Operation {
    fn read(path: &str, method: &str, operation: &Value) -> Result<Self> {
        let id = operation["operationId"].as_str().ok_or_else(|| format!("{method} {path} has no operationId"))?;
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.filter(|parameter| !is_seeing(parameter));
        let responses = operation["responses"].as_object().ok_or_else(|| format!("{id} answers nothing"))?;
        let success: Vec<&Value> =
            responses.iter().filter(|(status, _)| status.starts_with('2')).map(|(_, response)| response).collect();
        let [success] = success.as_slice() else { return Err(format!("{id} has not one answer of success").into()) };
        Ok(Self {
            id: id.to_owned(),
            body: Body::read(&operation["requestBody"])?,
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: operation["summary"].as_str().unwrap_or_default().to_owned(),
            parameters: parameters.map(|parameter| Parameter::read(id, parameter)).collect::<Result<_>>()?,
            answer: Answer::read(success)?,
            statuses: responses.keys().map(|status| status.parse()).collect::<std::result::Result<_, _>>()?,
        })
    }

    /// The words its parameters and its body's media type may be, as schemas with names.
    pub fn words(&self) -> Vec<(String, Value)> {
        let mut words: Vec<_> = self.parameters.iter().filter_map(Parameter::words).collect();
        if let Some(Body::File(media_types)) = &self.body {
            words.push((self.named("MediaType"), serde_json::json!({ "type": "string", "enum": media_types })));
        }
        words
    }

    /// The struct of what a caller may leave out.
    pub fn options(&self) -> Option<TokenStream> {
        let fields: Vec<TokenStream> = self.optional().map(Parameter::field).collect();
        let (name, doc) =
            (ident(&self.named("Options")), format!("What a caller of [`Client::{}`] may leave out.", self.id));
        (!fields.is_empty()).then(|| {
            quote! {
                #[doc = #doc]
                #[derive(Debug, Clone, Default)]
                pub struct #name { #(#fields),* }
            }
        })
    }

    /// The function.
    pub fn function(&self) -> Result<TokenStream> {
        let (id, kind, summary) = (ident(&self.id), self.answer.kind(), &self.summary);
        let doc = format!(
            "{summary}: `{} {}`.\n\n# Errors\nWhen anything else is answered, or nothing.",
            self.method, self.path
        );
        let arguments = self.parameters.iter().filter(|one| one.is_required).map(Parameter::argument);
        let (body_arguments, body) = self.body_code()?;
        let options = self.options().map(|_| {
            let name = ident(&self.named("Options"));
            quote!(options: &#name)
        });
        let (method, path, name) = (&self.method, &self.path, &self.id);
        let said = self.parameters.iter().map(|parameter| {
            let (ident, place, name) = (parameter.ident(), ident(&parameter.place), &parameter.name);
            if parameter.is_required {
                quote!(request.#place(#name, &#ident);)
            } else {
                quote!(if let Some(value) = &options.#ident { request.#place(#name, value); })
            }
        });
        let (media_types, reader) = self.answer.reader();
        let statuses = &self.statuses;
        Ok(quote! {
            #[doc = #doc]
            pub async fn #id(&self, #(#arguments,)* #(#body_arguments,)* #options)
                -> Result<Answer<#kind>, Failure<types::ProblemDocument>>
            {
                let mut request = Request::new(#name, #method, #path);
                #(#said)*
                #body
                self.0.ask(request, &[#(#statuses),*], &[#(#media_types),*], #reader).await
            }
        })
    }

    fn body_code(&self) -> Result<(Vec<TokenStream>, TokenStream)> {
        Ok(match &self.body {
            None => (Vec::new(), quote!()),
            Some(Body::Json(schema)) => {
                let kind = ident(&type_name(name_of(schema)?));
                (vec![quote!(body: &types::#kind)], quote!(request.json(body)?;))
            }
            Some(Body::Patch(schema)) => {
                let name = name_of(schema)?;
                let (kind, field) = (ident(&type_name(name)), ident(&type_name(&clearable(name))));
                let arguments = vec![quote!(body: &types::#kind), quote!(cleared: &[types::#field])];
                (arguments, quote!(request.merge_patch(body, cleared)?;))
            }
            Some(Body::File(_)) => {
                let kind = ident(&self.named("MediaType"));
                let arguments = vec![quote!(media_type: types::#kind), quote!(file: bytes::Bytes)];
                (arguments, quote!(request.file(&media_type, file);))
            }
        })
    }

    fn optional(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| !parameter.is_required)
    }

    fn named(&self, what: &str) -> String {
        format!("{}{what}", self.id.to_upper_camel_case())
    }
}

/// What the client says of every query itself: `Client::seeing`.
fn is_seeing(parameter: &Value) -> bool {
    let name = parameter["name"].as_str().unwrap_or_default();
    name.eq_ignore_ascii_case("Consistency-Token") || name == "consistency_token"
}

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}
