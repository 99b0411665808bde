//! What a start gets: typed options, every error at once, what is printed, fallbacks.

use std::ffi::OsString;
use std::path::Path;

use crate::common::{Directory, Run};
use uwgate_config::options::{CheaperAlgo, EnvChange, Mount};
use uwgate_config::{Address, Finding, Loaded, Located, Options, Protocol, Severity, load};

/// Loads one ini file (or what else `name` says) by its absolute name.
fn loaded(name: &str, text: &str) -> Result<Loaded, Vec<Finding>> {
    let run = Run {
        files: vec![(name.into(), text.into())],
        ..Run::default()
    };
    let directory = Directory::new(&run);
    with(&directory.0, &[name], &[])
}

fn with(
    directory: &Path,
    files: &[&str],
    environment: &[(&str, &str)],
) -> Result<Loaded, Vec<Finding>> {
    let arguments: Vec<OsString> = files
        .iter()
        .map(|file| directory.join(file).into())
        .collect();
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    load(&arguments, environment)
}

fn options(text: &str) -> Options {
    loaded("a.ini", &format!("[uwsgi]\n{text}"))
        .unwrap()
        .options
}

/// What is said, without the directory in front of the file's name.
fn said(findings: &[Finding]) -> Vec<String> {
    let text = |finding: &Finding| {
        let text = finding.to_string();
        let at = text.find("a.ini").unwrap_or(0);
        text[at..].to_owned()
    };
    findings.iter().map(text).collect()
}

#[test]
fn every_field_has_its_option() {
    let options = options(
        "http-socket = 127.0.0.1:8080\nsocket = /run/app.sock\nprotocol = uwsgi\nsocket = @abc\n\
         chmod-socket = 660\nchown-socket = www-data:adm\nlisten = 50\nvacuum = true\nsocket-timeout = 7\n\
         master = true\nprocesses = 4\nthreads = 2\nlazy-apps\nneed-app = 1\n\
         module = pkg.mod:app\ncallable = other\nmount = /a=x.py\nmount = /b=y:z\nmanage-script-name = on\n\
         home = /venv\npythonpath = /p\npp = /q\nchdir = /srv\nenv = A=1\nunenv = B\nenv = C=x=y\n\
         python = python3.12\nuid = 1000\ngid = adm\ndie-on-term = yes\ndisable-logging = true\nlogto = /tmp/log\n\
         buffer-size = 8192\nlimit-post = 5000000000\npost-buffering = 65536\nharakiri = 60\nharakiri-graceful-signal = 10\nhttp-keepalive = 10\n\
         http-trust-forwarded = 127.0.0.1, 10.0.0.0/8\nuwsgi-trust = unix\nplugins = http,python312\n\
         pidfile = /run/a.pid\nmaster-fifo = /run/0\nmaster-fifo = /run/1\ntouch-reload = /srv/x\n\
         python-autoreload = 3\npy-auto-reload-ignore = json\nworker-reload-mercy = 8\nreload-mercy = 9\n\
         fs-reload = /srv\nexit-on-reload = true\nstats = :9191\nstats-server = @name\n\
         stats-min = true\nstats-no-cores = true\nprometheus-listen = 127.0.0.1:9117\n\
         umask = 027\nprio = -3\nadd-gid = adm\ncap = net_raw,sys_nice\ncpu-affinity = 2\nprocname-prefix-spaced = x\n\
         daemonize2 = /var/log/x\nattach-daemon = sleep 9\nsmart-attach-daemon = /run/d.pid d --go\n\
         cheaper = 2\ncheaper-initial = 3\ncheaper-algo = busyness\ncheaper-busyness-max = 70\n\
         max-requests = 5000\nreload-on-rss = 300\nreload-on-exception-type = MemoryError\n\
         emperor = /srv/v\nemperor = /srv/*/a.ini\nvassals-set = a=b\nemperor-stats-server = :9192\nheartbeat = 4\n\
         vassals-cap = kill, chown\nemperor-use-clone = pid,mnt\nvassal-limit = as:1G\nvassal-cgroup-opt = cpu.max:1 2\n",
    );
    let Options {
        sockets,
        workers,
        cheaper,
        recycling,
        python,
        process,
        control,
        hooks,
        daemons,
        log,
        limits,
        harakiri,
        http,
        stats,
        emperor,
        vassals,
    } = options;
    let addresses: Vec<_> = sockets
        .sockets
        .iter()
        .map(|socket| (socket.protocol, socket.address.to_string()))
        .collect();
    let expected = [
        (Protocol::Http, "127.0.0.1:8080"),
        (Protocol::Uwsgi, "/run/app.sock"),
        (Protocol::Uwsgi, "@abc"),
    ];
    assert_eq!(
        addresses,
        expected.map(|(protocol, address)| (protocol, address.to_owned()))
    );
    assert_eq!(
        (sockets.chmod_socket, sockets.listen, sockets.vacuum),
        (Some(0o660), 50, true)
    );
    assert_eq!(sockets.chown_socket.unwrap().group.as_deref(), Some("adm"));
    assert_eq!((workers.processes, workers.threads), (4, 2));
    assert!(workers.master && workers.lazy_apps && workers.need_app && !workers.lazy);
    let shown = |addresses: &[Located<Address>]| {
        addresses
            .iter()
            .map(|it| it.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&stats.stats), [":9191", "@name"]);
    assert_eq!(shown(&stats.prometheus_listen), ["127.0.0.1:9117"]);
    assert!(stats.stats_minified && stats.stats_no_cores && !stats.stats_http);
    assert!(!stats.stats_show_secrets);
    assert_eq!(emperor.emperor.len(), 2);
    assert_eq!((emperor.emperor_freq, emperor.heartbeat), (3, 4));
    assert_eq!(*emperor.vassal_set[0], "a=b");
    let names = |of: &[Located<String>]| of.iter().map(|it| it.value.clone()).collect::<Vec<_>>();
    assert_eq!(names(&vassals.vassal_cap), ["kill", "chown"]);
    assert_eq!(names(&vassals.emperor_use_clone), ["pid", "mnt"]);
    assert_eq!(vassals.vassal_limit[0].value.value, Some(1 << 30));
    assert_eq!(vassals.vassal_cgroup_opt[0].value.value, "1 2");
    assert_eq!(shown(&emperor.emperor_stats), [":9192"]);
    assert_eq!(*python.module.unwrap(), "pkg.mod:app");
    let mounts: Vec<_> = python.mount.into_iter().map(|mount| mount.value).collect();
    let mount = |mountpoint: &str, app: &str| Mount {
        mountpoint: mountpoint.into(),
        app: app.into(),
    };
    assert_eq!(mounts, [mount("/a", "x.py"), mount("/b", "y:z")]);
    let set = |name: &str, value: &str| EnvChange::Set {
        name: name.into(),
        value: value.into(),
    };
    let changes: Vec<_> = python.env.into_iter().map(|change| change.value).collect();
    assert_eq!(
        changes,
        [
            set("A", "1"),
            EnvChange::Unset { name: "B".into() },
            set("C", "x=y")
        ]
    );
    assert_eq!(python.pythonpath.len(), 2);
    assert_eq!(*python.python.unwrap(), "python3.12");
    assert_eq!(*python.plugin_python.unwrap(), "python3.12");
    assert_eq!(
        (&**process.uid.as_ref().unwrap(), process.die_on_term),
        (&"1000".to_owned(), true)
    );
    assert_eq!((process.umask, process.prio), (Some(0o27), Some(-3)));
    assert_eq!((process.add_gid.len(), process.cap.len()), (1, 2));
    assert_eq!(process.cpu_affinity, 2);
    assert_eq!(process.titles.procname_prefix.as_deref(), Some("x "));
    assert_eq!(*process.daemonize2.unwrap(), Path::new("/var/log/x"));
    assert_eq!(hooks, Default::default());
    let commands: Vec<_> = daemons.attached.iter().map(|it| &*it.command).collect();
    assert_eq!(commands, ["sleep 9", "d --go"]);
    assert_eq!(*control.pidfile.unwrap(), Path::new("/run/a.pid"));
    assert_eq!(
        (control.master_fifo.len(), control.touch_reload.len()),
        (2, 1)
    );
    assert_eq!((control.fs_reload.len(), control.exit_on_reload), (1, true));
    assert_eq!(
        (control.py_autoreload, control.py_auto_reload_ignore.len()),
        (3, 1)
    );
    assert_eq!((control.worker_reload_mercy, control.reload_mercy), (8, 9));
    assert_eq!((cheaper.cheaper, cheaper.cheaper_initial), (2, Some(3)));
    assert_eq!(cheaper.cheaper_algo, CheaperAlgo::Busyness);
    assert_eq!(cheaper.cheaper_busyness_max, 70);
    assert_eq!(
        (recycling.max_requests, recycling.reload_on_rss),
        (5000, 300)
    );
    assert_eq!(recycling.reload_on_exception_type.len(), 1);
    assert!(log.disable_logging);
    assert_eq!(
        (limits.buffer_size, limits.limit_post),
        (8192, 5_000_000_000)
    );
    assert_eq!(
        (harakiri.harakiri, harakiri.harakiri_graceful_signal),
        (60, 10)
    );
    assert_eq!(
        (http.http_keepalive, http.http_trust_forwarded.len()),
        (10, 2)
    );
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let mut text = String::new();
    for row in uwgate_config::table::SECTIONS
        .iter()
        .flat_map(|section| section.rows)
    {
        if !row.default.is_empty()
            && matches!(row.support, uwgate_config::table::Support::Stored(_))
            && row.name != "callable"
        {
            text += &format!("{} = {}\n", row.name, row.default);
        }
    }
    assert_eq!(options(&text), Options::default());
}

#[test]
fn protocol_and_abstract_socket_hold_wherever_they_stand() {
    let sockets =
        options("socket = :80\nuwsgi-socket = x\nprotocol = http\nabstract-socket = 1\n").sockets;
    assert_eq!(sockets.sockets[0].protocol, Protocol::Http);
    assert_eq!(sockets.sockets[1].protocol, Protocol::Uwsgi);
    assert_eq!(sockets.sockets[1].address, Address::Abstract(b"x".to_vec()));
}

#[test]
fn an_explicit_master_is_stronger_than_one_implied() {
    assert!(options("stats = :1\n").workers.master);
    assert!(!options("master = false\nstats = :1\n").workers.master);
}

#[test]
fn all_errors_are_told_at_once() {
    let findings = loaded(
        "a.ini",
        "[uwsgi]\nharakiri = soon\nprocesses = -1\nsocket = :http\nhttp = :80\nini = none.ini\nif-env = X\nif-env = Y\nendif =\nchmod-socket = true\nmount = x\nthreads = 5000\n",
    )
    .unwrap_err();
    let mut errors: Vec<_> = findings
        .into_iter()
        .filter(|f| f.severity == Severity::Error)
        .collect();
    errors.sort_by_key(|finding| finding.origin.to_string().len());
    let said = said(&errors);
    for expected in [
        "a.ini:2: harakiri = soon: expected a number of seconds",
        "a.ini:3: processes = -1: must not be negative; expected a number of processes",
        "a.ini:4: socket = :http: expected a port from 0 to 65535",
        "a.ini:5: http = :80: the router processes are not there yet; http-socket serves",
        "a.ini:6: ini = none.ini: none.ini: cannot read it: no such file or directory",
        "a.ini:10: chmod-socket = true: expected three octal digits",
        "a.ini:11: mount = x: expected /path=app",
        "a.ini:12: threads = 5000: more than 4096 threads in one process",
    ] {
        assert!(
            said.iter().any(|text| text.starts_with(expected)),
            "{expected}\n{said:#?}"
        );
    }
}

#[test]
fn what_is_only_known_is_told_and_does_not_stop_the_start() {
    let loaded = loaded("a.ini", "[uwsgi]\nmime-file = /x\nthunder-lock = true\nmax-requests = 0\nharakari = 3\nmy-own = 1\nused = 1\nchdir = /%(used)\n").unwrap();
    let said = said(&loaded.findings);
    assert_eq!(
        said,
        [
            "a.ini:2: mime-file = /x: no effect yet: static files are not served yet; let the front end serve them",
            "a.ini:3: thunder-lock = true: no effect: workers do not compete for a lock to accept",
            "a.ini:5: harakari = 3: unknown option: it does nothing; did you mean `harakiri`?",
            "a.ini:6: my-own = 1: not an option, and no placeholder uses it: it does nothing",
        ]
    );
}

#[test]
fn hooks_are_read_before_anything_starts() {
    let options = options(
        "hook-master-start = unix_signal:15 gracefully_kill_them_all\nhook-pre-app = exec:./manage.py migrate\n\
         exec-as-root = true\ntouch-exec = /run/x date\nwait-for-socket = :5432\n",
    );
    assert_eq!(options.hooks.signals.len(), 1);
    let phases: Vec<_> = options
        .hooks
        .hooks
        .iter()
        .map(|(phase, _)| *phase)
        .collect();
    use uwgate_config::options::Phase;
    assert_eq!(phases, [Phase::PreApp, Phase::AsRoot]);
    assert_eq!(
        (options.hooks.touch.len(), options.hooks.wait_for.len()),
        (1, 1)
    );
    for bad in ["mount:/x", "unix_signal:15 nobody", "exec:", "nonsense:x"] {
        let text = format!("[uwsgi]\nhook-master-start = {bad}\n");
        let findings = loaded("a.ini", &text).unwrap_err();
        assert_eq!(findings[0].rule, "bad-value", "{bad}");
    }
}

#[test]
fn a_declared_option_is_applied() {
    let options = options("declare-option = serve=http-socket=$1;processes=$2\nserve = :80 3\n");
    assert_eq!(options.workers.processes, 3);
    assert_eq!(options.sockets.sockets.len(), 1);
}

#[test]
fn the_list_gives_the_same_options_again() {
    let loaded = loaded(
        "a.ini",
        "[uwsgi]\nsocket = :80\nenv = A=1\nfor = 1 2\nmount = /%(_)=m\nendfor =\n",
    )
    .unwrap();
    let entries = uwgate_config::decode(&uwgate_config::encode(&loaded.entries)).unwrap();
    let (options, findings) = Options::from_entries(&entries).unwrap();
    assert_eq!((options, findings), (loaded.options, loaded.findings));
}

#[test]
fn what_is_printed_and_where_it_ends() {
    let loaded = loaded(
        "a.ini",
        "[uwsgi]\nn = 5\nprint = late %(n)\niprint = early %(n)\nexit = 3\nshow-config = true\n",
    )
    .unwrap();
    assert_eq!(loaded.messages, ["early %(n)", "late 5"]);
    assert_eq!(loaded.exit, Some(3));
    assert!(loaded.show_config);
}

#[test]
fn a_fallback_takes_the_place_of_a_broken_configuration() {
    let run = Run {
        files: vec![
            ("b.ini".into(), "[uwsgi]\nprocesses = 2\n".into()),
            ("c.ini".into(), "[uwsgi]\nprocesses = few\n".into()),
        ],
        ..Run::default()
    };
    let directory = Directory::new(&run);
    let write = |fallback: &str| {
        let fallback = directory.0.join(fallback);
        let text = format!(
            "[uwsgi]\nfallback-config = {}\nprocesses = many\n",
            fallback.display()
        );
        std::fs::write(directory.0.join("a.ini"), text).unwrap();
    };
    write("b.ini");
    let loaded = with(&directory.0, &["a.ini"], &[]).unwrap();
    assert_eq!(loaded.options.workers.processes, 2);
    assert!(
        loaded
            .findings
            .iter()
            .all(|finding| finding.severity != Severity::Error)
    );
    assert_eq!(loaded.findings.len(), 2);
    write("c.ini");
    assert_eq!(with(&directory.0, &["a.ini"], &[]).unwrap_err().len(), 3);
}

#[test]
fn variables_of_ours_are_stronger_than_those_of_uwsgi() {
    let environment = [
        ("UWGATE_PROCESSES", "3"),
        ("UWSGI_PROCESSES", "2"),
        ("UWGATE_TYPO", "1"),
    ];
    let loaded = with(Path::new("/"), &[], &environment).unwrap();
    assert_eq!(loaded.options.workers.processes, 3);
    assert_eq!(
        said(&loaded.findings),
        ["environment UWGATE_TYPO: no option has this name, so it is ignored"]
    );
}

#[test]
fn apps_and_sections_are_understood_as_arguments() {
    let load = |argument: &str| {
        load(&[argument.into()], std::iter::empty())
            .unwrap()
            .options
            .python
    };
    assert_eq!(load("app.py").wsgi_file.unwrap().to_str(), Some("app.py"));
    assert_eq!(*load("pkg.mod:make()").module.unwrap(), "pkg.mod:make()");
    let run = Run {
        files: vec![(
            "a.ini".into(),
            "[uwsgi]\nprocesses = 2\n[dev]\nprocesses = 1\n".into(),
        )],
        ..Run::default()
    };
    let directory = Directory::new(&run);
    assert_eq!(
        with(&directory.0, &["a.ini:dev"], &[])
            .unwrap()
            .options
            .workers
            .processes,
        1
    );
}

#[test]
fn json_is_read_too() {
    let loaded = loaded(
        "a.json",
        r#"{"uwsgi": {"processes": 3, "master": true, "socket": [":80", ":81"]}}"#,
    )
    .unwrap();
    assert_eq!(loaded.options.workers.processes, 3);
    assert_eq!(loaded.options.sockets.sockets.len(), 2);
    assert!(loaded.options.workers.master);
}

#[test]
fn a_byte_order_mark_does_not_hide_the_section() {
    let loaded = loaded("a.ini", "\u{feff}[uwsgi]\nprocesses = 3\n").unwrap();
    assert_eq!(loaded.options.workers.processes, 3);
}

#[test]
fn numbers_out_of_bounds_are_told() {
    let said = |text: &str| match loaded("a.ini", &format!("[uwsgi]\nprocesses = 4\n{text}")) {
        Ok(loaded) => said(&loaded.findings).join("\n"),
        Err(findings) => said(&findings).join("\n"),
    };
    for (text, expected) in [
        (
            "cheaper = 4\n",
            "invalid cheaper value: must be lower than processes",
        ),
        ("cheaper = 2\ncheaper-initial = 9\n", "counts as 4"),
        ("cheaper = 2\ncheaper-initial = 1\n", "counts as 2"),
        ("cheaper-algo = clever\n", "falling back to spare"),
        (
            "max-worker-lifetime = 10\n",
            "must be higher than min-worker-lifetime (10)",
        ),
    ] {
        assert!(said(text).contains(expected), "{text}: {}", said(text));
    }
    assert_eq!(said("cheaper = 0\ncheaper-initial = 9\n"), "");
}

#[test]
fn a_warm_up_is_a_path_or_a_url() {
    let warm_up = |text: &str| {
        let loaded = loaded("a.ini", &format!("[uwsgi]\nwarm-up = {text}\n"));
        loaded.map(|loaded| loaded.options.python.warm_up[0].value.clone())
    };
    for (text, https, host, target) in [
        ("/", false, "localhost", "/"),
        ("/a?b=c", false, "localhost", "/a?b=c"),
        ("http://a.example", false, "a.example", "/"),
        ("https://a.example:8443/b", true, "a.example:8443", "/b"),
    ] {
        let (host, target) = (host.to_owned(), target.to_owned());
        let wanted = uwgate_config::WarmUp {
            https,
            host,
            target,
        };
        assert_eq!(warm_up(text).unwrap(), wanted, "{text}");
    }
    for text in [
        "x",
        "http://",
        "https:///x",
        "http://a@b/",
        "/a b",
        "/\u{e9}",
    ] {
        let said = said(&warm_up(text).unwrap_err());
        let beginning = format!("a.ini:2: warm-up = {text}: expected ");
        assert!(
            said.iter().any(|said| said.starts_with(&beginning)),
            "{said:#?}"
        );
    }
}
