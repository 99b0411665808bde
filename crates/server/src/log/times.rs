//! Times as log lines show them, made once a second and thread for each form.

use std::cell::RefCell;

use uwgate_sys::clock::TimeForm;

thread_local! {
    /// The forms of this thread with what they last made, and of which second.
    static MADE: RefCell<Vec<Made>> = const { RefCell::new(Vec::new()) };
}

struct Made {
    form: TimeForm,
    second: u64,
    text: Vec<u8>,
}

/// Appends the time that is so many seconds after 1970.
pub(super) fn append(line: &mut Vec<u8>, form: &TimeForm, second: u64) {
    MADE.with_borrow_mut(|all| {
        let known = all.iter_mut().find(|made| made.form == *form);
        let Some(made) = known else {
            let mut text = Vec::new();
            form.append(&mut text, second);
            line.extend_from_slice(&text);
            return all.push(Made {
                form: form.clone(),
                second,
                text,
            });
        };
        if made.second != second {
            made.second = second;
            made.text.clear();
            made.form.append(&mut made.text, second);
        }
        line.extend_from_slice(&made.text);
    });
}

/// `Fri Nov 20 16:33:48 2026`
pub(super) fn ctime() -> TimeForm {
    TimeForm::local("%a %b %e %H:%M:%S %Y")
}

/// `20/Nov/2026:16:33:48 +0100`
pub(super) fn apache() -> TimeForm {
    TimeForm::local("%d/%b/%Y:%H:%M:%S %z")
}

/// `2026-11-20T15:33:48`, without fraction and zone.
pub(super) fn iso() -> TimeForm {
    TimeForm::utc("%Y-%m-%dT%H:%M:%S")
}

/// Appends `2026-11-20T15:33:48.286602Z`.
pub(super) fn append_iso(line: &mut Vec<u8>, form: &TimeForm, micros: u64) {
    append(line, form, micros / 1_000_000);
    line.push(b'.');
    append_six_digits(line, micros % 1_000_000);
    line.push(b'Z');
}

/// Appends a number below a million with its leading zeroes.
pub(super) fn append_six_digits(line: &mut Vec<u8>, number: u64) {
    let mut divisor = 100_000;
    while divisor > 0 {
        let digit = u8::try_from(number / divisor % 10).unwrap_or_default();
        line.push(b'0' + digit);
        divisor /= 10;
    }
}
