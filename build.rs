//! Passes on which Python the host module beside the executable was built for.

fn main() {
    // Cargo also sets them for the program it runs, which takes every UWGATE_* for an option.
    for key in ["MAJOR", "MINOR"] {
        let value = std::env::var(format!("DEP_UWGATE_PYTHON_{key}"))
            .expect("uwgate-python says which Python it is built for");
        println!("cargo::rustc-env=HOST_MODULE_PYTHON_{key}={value}");
    }
}
