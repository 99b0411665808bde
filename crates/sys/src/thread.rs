//! Threads of this process as the kernel knows them, and asking one what it is doing by a signal.
//!
//! Whoever knows (an interpreter) installs a handler for a [`Question`] that writes the interrupted thread's stack
//! somewhere. [`ask`] then interrupts a thread and waits until its handler has come to its end. Nothing else of the
//! process has to run for that, so it works on a thread that is stuck and holds every lock there is.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A thread of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    /// The kernel's number, as in `/proc/PID/task`.
    pub id: i32,
    /// The C library's handle (`pthread_self`), which is what Python calls a thread's identity.
    pub handle: u64,
}

/// The calling thread. Looked up once.
pub fn current() -> Thread {
    thread_local! {
        static SELF: Thread = Thread {
            id: rustix::thread::gettid().as_raw_pid(),
            // SAFETY: takes nothing and cannot fail.
            handle: unsafe { libc::pthread_self() },
        };
    }
    SELF.with(|thread| *thread)
}

/// What a thread can be asked. Each has a real-time signal that nothing else uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Where are you?
    You,
    /// Where are all of you? Whoever is asked answers for the others, who go on meanwhile.
    AllOfYou,
}

impl Question {
    /// The signal that asks it.
    pub fn signal(self) -> i32 {
        match self {
            Self::You => libc::SIGRTMIN() + 5,
            Self::AllOfYou => libc::SIGRTMIN() + 6,
        }
    }

    fn state(self) -> &'static State {
        match self {
            Self::You => &STATES[0],
            Self::AllOfYou => &STATES[1],
        }
    }
}

/// The handler that answers a question, and how often it has.
struct State {
    handler: AtomicUsize,
    answers: AtomicU32,
}

static STATES: [State; 2] = [const {
    State {
        handler: AtomicUsize::new(0),
        answers: AtomicU32::new(0),
    }
}; 2];

/// Has the answers to a question counted, after its handler was installed. Without this nobody can be asked.
///
/// # Errors
/// `NotFound` when there is no handler that takes the signal's number alone.
pub fn observe(question: Question) -> io::Result<()> {
    let signal = question.signal();
    // SAFETY: all zeroes is a valid sigaction, and the call only writes to it.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: as above; a null second argument changes nothing.
    if unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let ours = answer as extern "C" fn(libc::c_int) as libc::sighandler_t;
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    match action.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => return Err(io::ErrorKind::NotFound.into()),
        handler if handler == ours => return Ok(()),
        handler => question.state().handler.store(handler, Ordering::Release),
    }
    action.sa_sigaction = ours;
    // The thread that is asked goes on where it was, as far as the kernel can arrange that.
    action.sa_flags |= libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `action` is the installed one with another handler, which is as async-signal-safe as the one it calls.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs as a signal handler: calls the one that was there, and counts.
extern "C" fn answer(signal: libc::c_int) {
    let question = match signal {
        it if it == Question::You.signal() => Question::You,
        _ => Question::AllOfYou,
    };
    let state = question.state();
    let handler = state.handler.load(Ordering::Acquire);
    if handler != 0 {
        // SAFETY: `observe` found this address as the handler of this signal, one that takes nothing but the number.
        let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
        handler(signal);
    }
    state.answers.fetch_add(1, Ordering::Release);
}

/// Asks a thread of this process and waits until it has answered; false when it is gone or has not within `patience`
/// (it sleeps in the kernel where no signal reaches it).
pub fn ask(thread: Thread, question: Question, patience: Duration) -> bool {
    let answers = &question.state().answers;
    let before = answers.load(Ordering::Acquire);
    // SAFETY: takes plain numbers; the kernel checks that the thread is one of this process.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_tgkill,
            libc::getpid(),
            thread.id,
            question.signal(),
        )
    };
    if sent != 0 {
        return false;
    }
    let begun = Instant::now();
    while answers.load(Ordering::Acquire) == before {
        if begun.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI32;
    use std::sync::mpsc;

    static ASKED: AtomicI32 = AtomicI32::new(0);

    extern "C" fn note(_: libc::c_int) {
        ASKED.store(current().id, Ordering::Relaxed);
    }

    #[test]
    fn a_thread_answers_for_itself() {
        assert_eq!(
            observe(Question::You).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let handler = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler stores a number.
        unsafe { libc::signal(Question::You.signal(), handler) };
        observe(Question::You).unwrap();
        observe(Question::You).unwrap();

        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            tell.send(current()).unwrap();
            let _ = ended.recv();
        });
        let thread = told.recv().unwrap();
        assert_ne!(thread, current());
        assert!(ask(thread, Question::You, Duration::from_secs(60)));
        assert_eq!(ASKED.load(Ordering::Relaxed), thread.id);
        drop(end);
        other.join().unwrap();
        assert!(!ask(thread, Question::You, Duration::ZERO));
    }
}
