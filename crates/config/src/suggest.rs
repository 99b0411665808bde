//! "Did you mean": the option a misspelt key stands for.

use crate::table;

/// The known option nearest to `key`, when it is near enough to be meant.
///
/// Options that this program acts on win over others at the same distance.
pub(crate) fn option_like(key: &str) -> Option<&'static str> {
    let folded = key.to_ascii_lowercase().replace('_', "-");
    if folded != key
        && let Some(row) = table::find(&folded)
    {
        return row.names().find(|name| *name == folded);
    }
    // Options have no underscores; a name that has some is a placeholder's, unless it is all but an option's.
    let within = match folded.len() {
        _ if folded != key.to_ascii_lowercase() => 1,
        0..6 => 1,
        6..10 => 2,
        _ => 3,
    };
    table::all()
        .flat_map(|row| row.names().map(move |name| (row, name)))
        .filter(|(_, name)| name.len() > 2)
        .map(|(row, name)| (distance(&folded, name, within), is_minor(row), name))
        .filter(|(distance, ..)| *distance <= within)
        .min_by_key(|&(distance, minor, name)| (distance, minor, name))
        .map(|(.., name)| name)
}

/// The name among `names` that is all but `name`, when there is one.
pub(crate) fn nearest(
    name: &str,
    names: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let within = if name.len() < 6 { 1 } else { 2 };
    names
        .filter(|known| known.len() > 2)
        .map(|known| (distance(name, known, within), known))
        .filter(|(distance, _)| *distance <= within)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn is_minor(row: &table::Row) -> bool {
    matches!(row.support, table::Support::Known(_)) && row.help.is_empty()
}

/// Edits that turn `a` into `b`, two swapped neighbours being one; counting stops beyond `limit`.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let replace = last[j] + usize::from(a[i] != b[j]);
            row[j + 1] = replace.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_typos_of_public_configurations_find_their_option() {
        for (typo, meant) in [
            ("harakari", "harakiri"),
            ("optmize", "optimize"),
            ("thread", "threads"),
            ("chmod_socket", "chmod-socket"),
            ("Master", "master"),
            ("proccesses", "processes"),
            ("wsgi_file", "wsgi-file"),
            ("pyton-path", "python-path"),
            ("vaccum", "vacuum"),
        ] {
            assert_eq!(option_like(typo), Some(meant), "{typo}");
        }
    }

    #[test]
    fn a_name_of_its_own_is_nobodys_typo() {
        for name in [
            "base",
            "project_root",
            "venv_name",
            "app_name",
            "domain",
            "x",
        ] {
            assert_eq!(option_like(name), None, "{name}");
        }
    }

    #[test]
    fn distance_counts_swaps_once() {
        assert_eq!(distance("ab", "ba", 3), 1);
        assert_eq!(distance("", "abc", 3), 3);
        assert_eq!(distance("kitten", "sitting", 3), 3);
        assert_eq!(distance("a", "abcdef", 3), 4);
    }
}
