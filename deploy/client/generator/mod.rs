//! From an `OpenAPI` 3.1 document to a Rust module: its schemas as types (through typify), its operations as functions.
//! What a document says in a way this does not know is an error of the build, so that nothing is passed over.
#![allow(clippy::indexing_slicing, reason = "a build stops at the first thing that is not as it should be")]

mod operations;
mod parameters;
mod schemas;

use std::error::Error;

use quote::quote;
use serde_json::Value;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The code of a service's module.
pub fn module(document: &Value) -> Result<String> {
    let operations = operations::read(document)?;
    let types = schemas::types(document, &operations)?;
    let functions = operations.iter().map(operations::Operation::function).collect::<Result<Vec<_>>>()?;
    let ids = operations.iter().map(|operation| &operation.id);
    let options = operations.iter().filter_map(operations::Operation::options);
    let code = quote! {
        /// The ids of all operations.
        pub const OPERATIONS: &[&str] = &[#(#ids),*];

        /// Bodies, answers, and the words parameters may be.
        pub mod types {
            #types
        }

        #(#options)*

        impl Client {
            #(#functions)*
        }
    };
    Ok(prettyplease::unparse(&syn::parse2(code)?))
}
