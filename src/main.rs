//! The `ansatz` program: hands the command line to `ansatz-cli` and turns its outcome into an exit code.

fn main() -> std::process::ExitCode {
    ansatz_cli::main()
}
