//! Application tokens from the command line, by whoever may write the database.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};
use tinybase_core::{
    ApplicationChange, ApplicationToken, ApplicationTokenError, Core, CreatedApplication,
    NewApplication,
};
use tinybase_model::Identity;

use super::admin::with_core;
use crate::cli::{Common, TokenCommand};
use crate::config::Config;
use crate::terminal;

/// Runs `tinybase admin token …`.
pub(super) async fn run(command: TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Create { name, description, expires_days, scopes, common } => {
            let scopes = (!scopes.is_empty()).then_some(scopes);
            create(NewApplication { name, description, expires_days, scopes }, &common).await?;
        }
        TokenCommand::List { common } => list(&common).await?,
        TokenCommand::Show { id, common } => {
            let token = ask(&common, async |core| {
                Ok(core.application_tokens().get(&Identity::Operator, parse(&id)?).await?)
            });
            show(&token.await?, &common)?;
        }
        TokenCommand::Revoke { id, common } => {
            let off = ApplicationChange { is_active: Some(false), ..ApplicationChange::default() };
            let token = ask(&common, async |core| {
                let tokens = core.application_tokens();
                Ok(tokens.change(&Identity::Operator, parse(&id)?, off).await?)
            });
            let token = token.await?;
            if common.json {
                terminal::say(&view(&token).to_string())?;
            } else {
                terminal::say(&format!("✓ Revoked application token: {}", token.name))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(new: NewApplication, common: &Common) -> anyhow::Result<()> {
    let created = ask(common, async |core| {
        Ok(core.application_tokens().create(&Identity::Operator, new).await?)
    });
    let CreatedApplication { token, secret } = created.await?;
    if common.json {
        let created = json!({ "token": view(&token), "token_value": secret });
        return Ok(terminal::say(&created.to_string())?);
    }
    terminal::say(&format!("✓ Created application token: {}", token.name))?;
    terminal::say(&format!("  ID:     {}", token.id))?;
    terminal::say(&format!("  Scopes: {}", scopes(&token)))?;
    terminal::say(&format!("  Token (shown only now): {secret}"))?;
    Ok(())
}

async fn list(common: &Common) -> anyhow::Result<()> {
    let tokens =
        ask(common, async |core| Ok(core.application_tokens().list(&Identity::Operator).await?));
    let tokens = tokens.await?;
    if common.json {
        let tokens: Vec<_> = tokens.iter().map(view).collect();
        return Ok(terminal::say(&Value::from(tokens).to_string())?);
    }
    if tokens.is_empty() {
        return Ok(terminal::say("No application tokens.")?);
    }
    for token in &tokens {
        let state = if token.is_valid(Timestamp::now()) { "✓ valid" } else { "○ not valid" };
        terminal::say(&format!("  {}  {}  [{state}]  {}", token.id, token.name, scopes(token)))?;
    }
    Ok(())
}

fn show(token: &ApplicationToken, common: &Common) -> anyhow::Result<()> {
    if common.json {
        return Ok(terminal::say(&view(token).to_string())?);
    }
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    for (word, text) in [
        ("Name", token.name.clone()),
        ("ID", token.id.to_string()),
        ("Description", token.description.clone().unwrap_or_default()),
        ("Scopes", scopes(token)),
        ("Active", if token.is_active { "yes" } else { "no" }.to_owned()),
        ("Created", token.created_at.to_string()),
        ("Expires", time(token.expires_at)),
        ("Last used", time(token.last_used_at)),
    ] {
        terminal::say(&format!("{:<13}{text}", format!("{word}:")))?;
    }
    Ok(())
}

/// Does something with the tokens of a data folder.
async fn ask<T>(
    common: &Common,
    work: impl AsyncFnOnce(&Core) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    with_core(&Config::load(&common.data.data)?, work).await
}

fn parse(id: &str) -> Result<tinybase_model::ApplicationTokenId, ApplicationTokenError> {
    id.parse().map_err(|_| ApplicationTokenError::NotFound)
}

fn scopes(token: &ApplicationToken) -> String {
    let words: Vec<_> = token.scopes.as_slice().iter().map(ToString::to_string).collect();
    words.join(" ")
}

fn view(token: &ApplicationToken) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "description": token.description,
        "scopes": token.scopes,
        "is_active": token.is_active,
        "is_valid": token.is_valid(Timestamp::now()),
        "created_by": token.created_by,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    })
}
