//! Signal dispositions and masks. Waiting for signals is the async runtime's work.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

pub use rustix::process::Signal;

/// Puts every signal back to its default action and unblocks all of them.
///
/// What a process started by someone else expects to find. Async-signal-safe: it may be called between fork and exec.
pub fn reset_to_default() {
    for signal in 1..=libc::SIGRTMAX() {
        set_disposition(signal, libc::SIG_DFL);
    }
    unblock_all();
}

/// Unblocks every signal in the calling thread. Async-signal-safe.
pub fn unblock_all() {
    let mut none = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set it is given before pthread_sigmask reads it; a null third argument
    // means "do not tell the old mask".
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

/// Blocks `signals` in the calling thread and in threads and processes it starts from now on.
pub fn block(signals: &[Signal]) -> io::Result<()> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set before anything reads it; every number comes from a `Signal`.
    let result = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut())
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(result))
    }
}

/// Blocks every signal in the calling thread: one that comes now waits, over an exec as well.
pub fn block_all() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set it is given before pthread_sigmask reads it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// Makes writes to a closed socket or pipe return `EPIPE` instead of killing the process.
///
/// A process started by exec keeps this; [`crate::process::Spawn`] undoes it for children.
pub fn ignore_sigpipe() {
    set_disposition(libc::SIGPIPE, libc::SIG_IGN);
}

/// Gives one signal back its default action.
pub fn set_default(signal: Signal) {
    set_disposition(signal.as_raw(), libc::SIG_DFL);
}

/// Ignores one signal; inherited over exec, except by children of [`crate::process::Spawn`].
pub fn ignore(signal: Signal) {
    set_disposition(signal.as_raw(), libc::SIG_IGN);
}

/// Has this process end `seconds` after its parent, whatever it is doing then; to be called when the parent is the
/// one that is meant (see [`fork_adopted`](crate::process::fork_adopted)).
///
/// The parent's death is told by a real-time signal, whose handler sets an alarm (see also [`let_go_after_parent`]).
/// Nothing else of this process has to run for that, so one that is stuck ends as well.
pub fn end_after_parent(seconds: u32) -> io::Result<()> {
    GRACE.store(seconds, Ordering::Relaxed);
    let told = libc::SIGRTMIN() + 7;
    set_disposition(
        told,
        set_alarm as extern "C" fn(libc::c_int) as libc::sighandler_t,
    );
    // SAFETY: the call takes plain numbers and changes a setting of this process only.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, told) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Says which listening sockets this process is to let go soon after its parent, even if it is stuck: whoever is
/// started in the parent's place wants the addresses. To be called again, with others or none, before one is closed.
/// Those after the first [`DOORS_AT_MOST`] are not seen.
pub fn let_go_after_parent(sockets: &[BorrowedFd<'_>]) {
    let numbers = sockets.iter().map(AsRawFd::as_raw_fd);
    for (door, number) in DOORS.iter().zip(numbers.chain(std::iter::repeat(NO_DOOR))) {
        door.store(number, Ordering::Relaxed);
    }
}

/// How many sockets [`let_go_after_parent`] looks after.
pub const DOORS_AT_MOST: usize = 32;

const NO_DOOR: RawFd = -1;

static GRACE: AtomicU32 = AtomicU32::new(0);
static DOORS: [AtomicI32; DOORS_AT_MOST] = [const { AtomicI32::new(NO_DOOR) }; DOORS_AT_MOST];

/// Until a process that is not stuck has dealt with its sockets itself.
const DOORS_OPEN: libc::timeval = libc::timeval {
    tv_sec: 0,
    tv_usec: 200_000,
};

/// Runs as a signal handler: async-signal-safe calls only.
extern "C" fn set_alarm(_: libc::c_int) {
    set_disposition(
        libc::SIGALRM,
        shut_doors as extern "C" fn(libc::c_int) as libc::sighandler_t,
    );
    let once = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: DOORS_OPEN,
    };
    // SAFETY: reads the struct above; a null third argument means "do not tell the old timer".
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const once, ptr::null_mut()) };
}

/// Runs as a signal handler: async-signal-safe calls only.
extern "C" fn shut_doors(_: libc::c_int) {
    for door in &DOORS {
        let number = door.load(Ordering::Relaxed);
        if number != NO_DOOR && is_listening(number) {
            // SAFETY: the number goes on to be somebody's open descriptor, so nobody else's can get it; who accepts
            // from it learns that it is no socket.
            unsafe { libc::dup2(libc::STDIN_FILENO, number) };
        }
    }
    set_disposition(libc::SIGALRM, libc::SIG_DFL);
    // SAFETY: takes a number.
    unsafe { libc::alarm(GRACE.load(Ordering::Relaxed)) };
}

/// Has this process end with `code` so many seconds after `signal` has come, whatever it is doing then. To be called
/// before the async runtime listens to the signal: its handler runs this one as well.
///
/// Nothing of this process has to run for that, so one that is stuck ends too.
pub fn end_after(signal: Signal, seconds: u32, code: i32) {
    if let Some(limit) = LIMITS.get(signal.as_raw().unsigned_abs() as usize) {
        limit.store(seconds.max(1), Ordering::Relaxed);
    }
    LAST_CODE.store(code, Ordering::Relaxed);
    set_disposition(
        signal.as_raw(),
        limit_life as extern "C" fn(libc::c_int) as libc::sighandler_t,
    );
}

/// Seconds by signal.
static LIMITS: [AtomicU32; 32] = [const { AtomicU32::new(0) }; 32];
static LAST_CODE: AtomicI32 = AtomicI32::new(0);

/// Runs as a signal handler: two async-signal-safe calls.
extern "C" fn limit_life(signal: libc::c_int) {
    let limit = LIMITS.get(signal.unsigned_abs() as usize);
    set_disposition(
        libc::SIGALRM,
        end_now as extern "C" fn(libc::c_int) as libc::sighandler_t,
    );
    // SAFETY: takes a number.
    unsafe { libc::alarm(limit.map_or(1, |limit| limit.load(Ordering::Relaxed))) };
}

/// Runs as a signal handler.
extern "C" fn end_now(_: libc::c_int) {
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(LAST_CODE.load(Ordering::Relaxed)) };
}

/// Async-signal-safe.
fn is_listening(number: RawFd) -> bool {
    let mut yes: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: pointer and size are those of `yes`; a number that is no socket is an error.
    let result = unsafe {
        libc::getsockopt(
            number,
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut yes).cast(),
            &raw mut len,
        )
    };
    result == 0 && yes == 1
}

/// Makes a signal interrupt waiting calls and nothing else. Unlike an ignored signal it is back at its default in
/// programs that this process starts.
pub fn shrug_off(signal: Signal) {
    extern "C" fn nothing(_: libc::c_int) {}
    set_disposition(
        signal.as_raw(),
        nothing as extern "C" fn(libc::c_int) as libc::sighandler_t,
    );
}

/// The kernel refuses KILL, STOP and the numbers the C library keeps for itself; that is what callers want.
fn set_disposition(signal: libc::c_int, disposition: libc::sighandler_t) {
    // SAFETY: the disposition is SIG_DFL, SIG_IGN or one of the handlers above, which are async-signal-safe.
    unsafe { libc::signal(signal, disposition) };
}

/// Whether a signal that is blocked has come meanwhile, of those that ask a process to end.
pub fn is_pending() -> bool {
    let mut set = MaybeUninit::uninit();
    let asks = [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT];
    // SAFETY: sigpending fills the set before it is read, and does not fail with a valid pointer; the numbers are
    // signals.
    unsafe {
        libc::sigpending(set.as_mut_ptr()) == 0
            && asks
                .iter()
                .any(|&signal| libc::sigismember(set.as_ptr(), signal) == 1)
    }
}
