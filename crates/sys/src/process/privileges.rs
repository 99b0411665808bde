//! Users and groups, and becoming one of them for good.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::Capabilities;

/// Whom to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups, all of them.
    pub groups: Vec<u32>,
}

/// Looks up who `user` and `group` are. All digits are an id, whether or not somebody has it; else a name.
///
/// Without `group` the user's own primary group is taken (a bare id nobody has keeps our group). The supplementary
/// groups are those the user belongs to by the system's files; a bare id nobody has gets the primary group only.
///
/// `NotFound` names the user or group that does not exist.
pub fn resolve(user: &str, group: Option<&str>) -> io::Result<Identity> {
    let account = account(user)?;
    let uid = account
        .as_ref()
        .map(|account| account.uid)
        .or_else(|| id(user));
    let uid = uid.ok_or_else(|| unknown("user", user))?;
    let own_group = account
        .as_ref()
        .map_or_else(|| rustix::process::getgid().as_raw(), |account| account.gid);
    let gid = group.map_or(Ok(own_group), resolve_group)?;
    let groups = match &account {
        Some(account) => groups_of(&account.name, gid)?,
        None => vec![gid],
    };
    Ok(Identity { uid, gid, groups })
}

/// The id of a user by name or digits. `NotFound` when there is no such name.
pub fn resolve_user(user: &str) -> io::Result<u32> {
    match id(user) {
        Some(uid) => Ok(uid),
        None => account(user)?
            .map(|account| account.uid)
            .ok_or_else(|| unknown("user", user)),
    }
}

/// The id of a group by name or digits. `NotFound` when there is no such name.
pub fn resolve_group(group: &str) -> io::Result<u32> {
    match id(group) {
        Some(gid) => Ok(gid),
        None => group_by_name(group)?.ok_or_else(|| unknown("group", group)),
    }
}

fn id(digits: &str) -> Option<u32> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // The kernel takes -1 as "leave as it is", so it is nobody's id.
    if all_digits {
        digits.parse().ok().filter(|&id| id != u32::MAX)
    } else {
        None
    }
}

fn unknown(what: &str, name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("there is no {what} {name:?} on this system"),
    )
}

/// Becomes `identity` in all threads, real, effective and saved, with no way back; checked afterwards.
///
/// Needs root, except when the process is `identity` already (then it succeeds and leaves the groups alone).
/// The death signal is cleared by the kernel: set it after this.
///
/// After an error the process is in between: it must not go on as if nothing had happened.
pub fn drop_to(identity: &Identity) -> io::Result<()> {
    drop_to_keeping(identity, Capabilities::default())
}

/// As [`drop_to`], but keeps some of root's capabilities: in this process, and for programs it starts with
/// [`Spawn::capabilities`](super::Spawn::capabilities). The process must have a single thread.
pub fn drop_to_keeping(identity: &Identity, keep: Capabilities) -> io::Result<()> {
    let Identity {
        uid,
        gid,
        ref groups,
    } = *identity;
    if uid == u32::MAX || gid == u32::MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the id 4294967295 means nobody",
        ));
    }
    if current_ids()? == [[uid; 3], [gid; 3]] && uid != 0 {
        return Ok(());
    }
    // The order is forced: without root neither groups nor group can be changed any more.
    // The C library is used, not the bare system calls, because those would change the calling thread only.
    if !keep.is_empty() {
        rustix::thread::set_keep_capabilities(true)?;
    }
    // SAFETY: the pointer and length describe `groups`; the other calls take plain integers.
    unsafe {
        check(libc::setgroups(groups.len(), groups.as_ptr()))?;
        check(libc::setresgid(gid, gid, gid))?;
        check(libc::setresuid(uid, uid, uid))?;
    }
    if !keep.is_empty() {
        rustix::thread::set_keep_capabilities(false)?;
        keep.keep_only()?;
    }
    verify(identity, keep.contains("setuid"))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn verify(identity: &Identity, may_return: bool) -> io::Result<()> {
    if may_return {
        return Ok(());
    }
    let Identity {
        uid,
        gid,
        ref groups,
    } = *identity;
    let mut have: Vec<u32> = rustix::process::getgroups()?
        .iter()
        .map(|group| group.as_raw())
        .collect();
    let mut want = groups.clone();
    for list in [&mut have, &mut want] {
        list.sort_unstable();
        list.dedup();
    }
    if current_ids()? != [[uid; 3], [gid; 3]] || have != want {
        return Err(io::Error::other(
            "privileges were dropped but the kernel still shows the old ones",
        ));
    }
    // SAFETY: plain integers; -1 leaves the real and saved id alone. Success would mean that root can be regained.
    if uid != 0 && unsafe { libc::setresuid(u32::MAX, 0, u32::MAX) } == 0 {
        return Err(io::Error::other(
            "privileges were dropped but could be taken back",
        ));
    }
    Ok(())
}

/// Real, effective and saved ids: of the user, of the group.
fn current_ids() -> io::Result<[[u32; 3]; 2]> {
    let (mut user, mut group) = ([0; 3], [0; 3]);
    let ([ur, ue, us], [gr, ge, gs]) = (&mut user, &mut group);
    // SAFETY: six pointers to six distinct integers that outlive the calls.
    unsafe {
        check(libc::getresuid(ur, ue, us))?;
        check(libc::getresgid(gr, ge, gs))?;
    }
    Ok([user, group])
}

struct Account {
    name: CString,
    uid: u32,
    gid: u32,
}

/// The account of a name or of an id in digits.
fn account(user: &str) -> io::Result<Option<Account>> {
    let name = c_string(user)?;
    let mut record: MaybeUninit<libc::passwd> = MaybeUninit::uninit();
    look_up(|buffer, found| {
        let (text, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: all pointers outlive the call; `text` has `len` bytes; the strings of the record that is read after
        // success point into `buffer` and are copied before it goes.
        unsafe {
            let mut result = ptr::null_mut();
            let error = match id(user) {
                Some(uid) => libc::getpwuid_r(uid, record.as_mut_ptr(), text, len, &raw mut result),
                None => libc::getpwnam_r(
                    name.as_ptr(),
                    record.as_mut_ptr(),
                    text,
                    len,
                    &raw mut result,
                ),
            };
            if error == 0 && !result.is_null() {
                let record = &*result;
                let name = CStr::from_ptr(record.pw_name).to_owned();
                *found = Some(Account {
                    name,
                    uid: record.pw_uid,
                    gid: record.pw_gid,
                });
            }
            error
        }
    })
}

fn group_by_name(group: &str) -> io::Result<Option<u32>> {
    let name = c_string(group)?;
    let mut record: MaybeUninit<libc::group> = MaybeUninit::uninit();
    look_up(|buffer, found| {
        let (text, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: all pointers outlive the call; `text` has `len` bytes; a record is read only after success.
        unsafe {
            let mut result = ptr::null_mut();
            let error = libc::getgrnam_r(
                name.as_ptr(),
                record.as_mut_ptr(),
                text,
                len,
                &raw mut result,
            );
            if error == 0 && !result.is_null() {
                *found = Some((*result).gr_gid);
            }
            error
        }
    })
}

/// Runs a `get…_r` call with a buffer that grows until the record fits.
fn look_up<T>(
    mut call: impl FnMut(&mut [u8], &mut Option<T>) -> libc::c_int,
) -> io::Result<Option<T>> {
    let mut buffer = vec![0; 1024];
    let mut found = None;
    loop {
        match call(&mut buffer, &mut found) {
            0 => return Ok(found),
            libc::EINTR => {}
            libc::ERANGE if buffer.len() < 1 << 24 => buffer.resize(buffer.len() * 4, 0),
            // What different name services say for "no such entry", see getpwnam(3).
            libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// All groups of a user, `gid` among them.
fn groups_of(user: &CStr, gid: u32) -> io::Result<Vec<u32>> {
    let mut groups = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(groups.len()).map_err(io::Error::other)?;
        // SAFETY: `groups` has room for `count` ids and both outlive the call, which says in `count` how many there are.
        let result =
            unsafe { libc::getgrouplist(user.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        let count = usize::try_from(count).unwrap_or(0);
        if result >= 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        if groups.len() > 1 << 20 {
            return Err(io::Error::other("a user with more than a million groups"));
        }
        groups.resize(count.max(groups.len() * 2), 0);
    }
}

fn c_string(name: &str) -> io::Result<CString> {
    CString::new(name)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a name with a NUL byte"))
}
