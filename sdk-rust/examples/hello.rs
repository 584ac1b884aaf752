//! The smallest extension that shows both ends: a hook and a function.
use tinybase_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct Greet {
    name: String,
}

async fn greet(_ctx: Context, input: Greet) -> Result<String> {
    Ok(format!("Hello {}", input.name))
}

fn main() -> ExitCode {
    Extension::new("hello")
        .on_record_create("orders", |_ctx, order: RecordCreate| async move {
            tracing::info!("a new order of {}", order.data["email"]);
            Ok(())
        })
        .function("greet", greet)
        .main()
}
