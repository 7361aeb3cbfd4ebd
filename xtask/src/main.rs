//! Developer commands: `cargo xtask NAME`.

mod defs;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("defs") => defs::run(&args[1..]),
        _ => anyhow::bail!("usage: cargo xtask defs [--from DIR] [--check]"),
    }
}
