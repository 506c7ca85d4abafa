//! `command-api admin`: what only operators do to accounts, straight in the identity database. Running services notice within
//! seconds.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use fittrack_runtime::{
    config::Secret,
    pg::{self, PoolSettings},
};

use crate::identity::{
    AccountError,
    administration::{Administered, Administration, ONE_TIME_HOURS},
    email::Email,
    passwords::Passwords,
};

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Make an administrator; prints, once, the secret that sets their password
    Create(Whose),
    /// Keep an account from signing in; ends its sessions and keys
    Disable(Whose),
    /// Let an account sign in again
    Enable(Whose),
    /// End all sessions of an account
    EndSessions(Whose),
}

/// Whose account it is.
#[derive(Debug, Args)]
pub struct Whose {
    /// The account's e-mail address
    #[arg(long, value_parser = parse_email)]
    email: Email,
}

/// Does it; 0, or 1 where there is no such account or there is one already.
pub async fn run(admin: Admin, identity: &Secret) -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    let pool = pg::pool(identity, PoolSettings::new("command-api-admin").max_connections(1))?;
    let administration = Administration::new(pool);
    let outcome = match &admin {
        Admin::Create(Whose { email }) => return create(&administration, email).await.map_err(Into::into),
        Admin::Disable(Whose { email }) => administration.disable(email).await?,
        Admin::Enable(Whose { email }) => administration.enable(email).await?,
        Admin::EndSessions(Whose { email }) => administration.end_sessions(email).await?,
    };
    match outcome {
        Administered::Done(sessions) => {
            println!("done; sessions ended: {sessions}");
            Ok(ExitCode::SUCCESS)
        }
        Administered::NotFound => {
            eprintln!("command-api: there is no such account, or it is so already");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn create(administration: &Administration, email: &Email) -> Result<ExitCode, AccountError> {
    let Some(secret) = administration.create(&Passwords::for_this_machine()?, email).await? else {
        eprintln!("command-api: this address has an account");
        return Ok(ExitCode::FAILURE);
    };
    println!("one-time secret: {secret}");
    println!("good for {ONE_TIME_HOURS} hours, once: POST /v1/account/password/first with it sets the password");
    Ok(ExitCode::SUCCESS)
}

fn parse_email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|error| error.to_string())
}
