//! Passes on which Python the host module beside the executable was built for.

fn main() {
    for key in ["MAJOR", "MINOR"] {
        let value = std::env::var(format!("DEP_UWGATE_PYTHON_{key}"))
            .expect("uwgate-python says which Python it is built for");
        println!("cargo::rustc-env=UWGATE_HOST_{key}={value}");
    }
}
