//! The `headless-dns` program: arguments to an exit code.

fn main() -> std::process::ExitCode {
    headless_dns::cli::main()
}
