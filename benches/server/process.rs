//! A server's processes: started, found ready, looked at through /proc, ended.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::scenarios::{Scenario, Way};
use super::servers::{self, Server};

/// A server and its children, ended when dropped.
pub struct Running {
    child: Child,
    /// `127.0.0.1:PORT`, or the path of a unix socket.
    pub address: String,
}

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

impl Running {
    pub fn start(server: &Server, scenario: &Scenario) -> io::Result<Self> {
        let address = match scenario.way {
            Way::Uwsgi => {
                let name = format!("uwgate-bench-{}.sock", std::process::id());
                std::env::temp_dir().join(name).display().to_string()
            }
            Way::Keep | Way::Close => TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string(),
        };
        let mut words = server.command(scenario, &address);
        if scenario.pinned {
            words.splice(0..0, ["taskset", "-c", "0"].map(str::to_owned));
        }
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(servers::directory())
            .env("PYTHONPATH", servers::directory())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, address })
    }

    pub fn wait_until(&mut self, ready: impl Fn() -> bool) -> io::Result<()> {
        let end = Instant::now() + START;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("ended at its start: {status}")));
            }
            if Instant::now() > end {
                return Err(io::Error::other("does not answer"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // The other workers.
        std::thread::sleep(Duration::from_millis(300));
        Ok(())
    }

    /// User and system time of all its processes so far, and of those that have ended.
    pub fn cpu(&self) -> Duration {
        let mut ticks = 0;
        let mut pids = vec![self.child.id()];
        while let Some(pid) = pids.pop() {
            ticks += ticks_of(pid);
            pids.extend(children(pid));
        }
        let per_second = rustix::param::clock_ticks_per_second();
        Duration::from_secs(ticks) / u32::try_from(per_second).unwrap_or(100)
    }
}

/// All of a process's threads may have children.
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let words: Vec<String> = lists.collect();
    let words = words.iter().flat_map(|list| list.split_whitespace());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Fields 14 to 17 of /proc/PID/stat, proc(5).
fn ticks_of(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The program's name may hold anything, and ends with the last bracket.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(4);
    times.filter_map(|field| field.parse::<u64>().ok()).sum()
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // SIGTERM would have uWSGI reload.
            let _ = kill_process(pid, Signal::INT);
        }
        let end = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.address);
    }
}

/// Keeps this thread, the load, to one CPU, or lets it use all.
pub fn stay_on(cpu: Option<usize>) -> io::Result<()> {
    let mut set = CpuSet::new();
    match cpu {
        Some(cpu) => set.set(cpu),
        None => (0..CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu)),
    }
    Ok(sched_setaffinity(None, &set)?)
}
