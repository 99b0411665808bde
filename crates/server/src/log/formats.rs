//! The forms of request lines that nobody has to write.

use uwgate_config::Options;
use uwgate_config::options::LogFormat;

/// The form of the request line, and what stands for a value that is not there.
pub(super) fn request_line(options: &Options) -> (LogFormat, &'static [u8]) {
    match &options.log.log_format {
        Some(format) => (format.clone(), b"-"),
        None if options.log.log_json => (LogFormat::parse(JSON), b"-"),
        None => (LogFormat::parse(&default_line(options)), b""),
    }
}

/// `log-json`.
const JSON: &str = r#"{"time":%(uwgate.time),"level":"info","type":"request","pid":%(pid),"worker":%(wid),"core":%(core),"app":%(uwgate.app),"addr":%(addr),"user":%(user),"method":%(method),"uri":%(uri),"protocol":%(proto),"host":%(host),"referer":%(referer),"user_agent":%(uagent),"status":%(status),"micros":%(micros),"request_bytes":%(cl),"head_bytes":%(hsize),"body_bytes":%(rsize),"headers":%(headers),"switches":%(switches)}"#;

/// uWSGI's line.
fn default_line(options: &Options) -> String {
    let memory = match options.log.memory_report {
        true => {
            "{address space usage: %(vsz) bytes/%(vszM)MB} {rss usage: %(rss) bytes/%(rssM)MB} "
        }
        false => "",
    };
    let time = match options.log.log_micros {
        true => "%(micros) micros",
        false => "%(msecs) msecs",
    };
    format!(
        "{memory}[pid: %(pid)|app: %(uwgate.app)|req: %(uwgate.request)/%(uwgate.total)] %(addr) (%(user)) \
         {{%(vars) vars in %(pktsize) bytes}} [%(ctime)] %(method) %(uri) => generated %(rsize) bytes in {time}\
         %(uwgate.via) (%(proto) %(status)) %(headers) headers in %(hsize) bytes \
         (%(switches) switches on core %(core))"
    )
}

#[cfg(test)]
mod tests {
    use uwgate_config::options::{Piece, Place};

    use super::*;

    #[test]
    fn ours_is_json_and_uwsgis_is_text() {
        let places = |text: &str| -> Vec<Place> {
            let pieces = LogFormat::parse(text).pieces.into_iter();
            let place = |piece| match piece {
                Piece::Value(_, place) => Some(place),
                Piece::Text(_) => None,
            };
            pieces.filter_map(place).collect()
        };
        assert!(places(JSON).iter().all(|place| *place == Place::JsonValue));
        let mut options = Options::default();
        options.log.memory_report = true;
        let line = default_line(&options);
        assert!(places(&line).iter().all(|place| *place == Place::Plain));
    }
}
