//! Linux capabilities: parts of root's power that may be kept without being root.

use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets};

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

/// The names of capabilities(7) without `CAP_`, by number.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

impl Capabilities {
    /// The capability of a name (with or without `cap_`, in any case) or a number.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("cap_").unwrap_or(&name);
        let number = NAMES
            .iter()
            .position(|known| *known == name)
            .or_else(|| name.parse().ok().filter(|&number| number < NAMES.len()))?;
        Some(Self(1 << number))
    }

    /// Whether there is none in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `name` is in it.
    pub fn contains(self, name: &str) -> bool {
        Self::named(name).is_some_and(|one| self.0 & one.0 != 0)
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn also_in(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Takes all others from this process for good, and from every program that it becomes or starts, even one of root
    /// or with the set-user-id bit: what is in effect now stays until the next exec.
    pub fn bound(self) -> io::Result<()> {
        for number in 0..u64::BITS {
            let is_kept = self.0 >> number & 1 == 1;
            let argument = libc::c_ulong::from(number);
            // SAFETY: the call takes plain numbers.
            let is_there = unsafe { libc::prctl(libc::PR_CAPBSET_READ, argument, 0, 0, 0) } == 1;
            if is_kept || !is_there {
                continue;
            }
            // SAFETY: the call takes plain numbers and changes a setting of this thread only.
            if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, argument, 0, 0, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// What the calling thread may have in effect.
    pub fn permitted() -> io::Result<Self> {
        Ok(Self(rustix::thread::capabilities(None)?.permitted.bits()))
    }

    /// Passes all that this process may on to the program it is about to exec. Async-signal-safe.
    pub(super) fn pass_all_on() -> io::Result<()> {
        let all = Self::permitted()?;
        all.keep_only()?;
        all.pass_on()
    }

    /// Gives up all others, in this process and for what it becomes; it must have these, and a single thread.
    pub fn give_up_others(self) -> io::Result<()> {
        self.keep_only()
    }

    /// Makes these the calling thread's effective, permitted and inheritable ones, and no others.
    pub(super) fn keep_only(self) -> io::Result<()> {
        let set = CapabilitySet::from_bits_retain(self.0);
        let sets = CapabilitySets {
            effective: set,
            permitted: set,
            inheritable: set,
        };
        Ok(rustix::thread::set_capabilities(None, sets)?)
    }

    /// Has the calling thread pass them on to the program it is about to exec. They have to be permitted and
    /// inheritable. Async-signal-safe.
    pub(super) fn pass_on(self) -> io::Result<()> {
        for number in (0..NAMES.len()).filter(|number| self.0 >> number & 1 == 1) {
            let (raise, number) = (libc::PR_CAP_AMBIENT_RAISE, number as libc::c_ulong);
            // SAFETY: the call takes plain numbers and changes a setting of this thread only.
            if unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, number, 0, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_manual() {
        assert_eq!(
            Capabilities::named("net_bind_service"),
            Some(Capabilities(1 << 10))
        );
        assert_eq!(
            Capabilities::named("CAP_SYS_NICE"),
            Some(Capabilities(1 << 23))
        );
        assert_eq!(
            Capabilities::named("40"),
            Capabilities::named("checkpoint_restore")
        );
        for unknown in ["", "41", "-1", "net", "cap_"] {
            assert_eq!(Capabilities::named(unknown), None, "{unknown}");
        }
        let both = Capabilities::named("setuid").unwrap().and(Capabilities(1));
        assert!(both.contains("setuid") && both.contains("chown") && !both.contains("kill"));
    }
}
