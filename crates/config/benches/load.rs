//! What a start pays for its configuration: a file of 60 options, from the command line to typed options.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use uwgate_config::load;

fn sixty_options() -> String {
    let mut text = String::from("[uwsgi]\nbase = /srv/app\nname = app\n");
    for (key, value) in [
        ("http-socket", "127.0.0.1:8080"),
        ("socket", "%(base)/run/%(name).sock"),
        ("chmod-socket", "660"),
        ("master", "true"),
        ("processes", "%(2 * 4)"),
        ("threads", "2"),
        ("module", "%(name).wsgi:application"),
        ("chdir", "%(base)"),
        ("home", "%(base)/venv"),
        ("harakiri", "60"),
        ("max-requests", "5000 ; restart"),
        ("log-format", "%(addr) %(method) %(uri)"),
    ] {
        let _ = writeln!(text, "{key} = {value}");
    }
    text += "if-env = HOME\nenv = HAS_HOME=1\nendif =\n";
    for number in 0..42 {
        let _ = writeln!(text, "env = VARIABLE_{number}=%(base)/value/{number}");
    }
    text
}

fn benches(criterion: &mut Criterion) {
    let directory = std::env::temp_dir().join(format!("uwgate-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the file");
    let ini = directory.join("app.ini");
    std::fs::write(&ini, sixty_options()).expect("the file");
    let arguments: [OsString; 2] = ["--ini".into(), ini.into()];
    criterion.bench_function("load 60 options", |bencher| {
        bencher.iter(|| load(black_box(&arguments), std::env::vars_os()));
    });
    let _ = std::fs::remove_dir_all(directory);
}

criterion_group!(group, benches);
criterion_main!(group);
