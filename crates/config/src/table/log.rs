//! Log lines: which there are, what they look like, where they go.

use super::{Argument, Row, bytes, flag, number, parsed, path};
use crate::entry::Entry;
use crate::log_format::LogFormat;
use crate::log_target;
use crate::options::{LogDate, Options};
use crate::origin::Located;
use crate::value::{Problem, is_on, socket_mode};

pub(super) const ROWS: &[Row] = &[
    flag("disable-logging", |o| &mut o.log.disable_logging)
        .short('L')
        .help("No line for each request, but for what log-4xx, log-5xx, log-slow and the like name."),
    flag("log-4xx", |o| &mut o.log.log_4xx)
        .help("With disable-logging: log requests answered with a 4xx status all the same."),
    flag("log-5xx", |o| &mut o.log.log_5xx)
        .help("With disable-logging: log requests answered with a 5xx status all the same."),
    number("log-slow", "milliseconds", |o| &mut o.log.log_slow)
        .help("With disable-logging: log requests that took so long all the same."),
    bytes("log-big", |o| &mut o.log.log_big)
        .help("With disable-logging: log requests whose body of the answer has so many bytes all the same."),
    flag("log-zero", |o| &mut o.log.log_zero)
        .help("With disable-logging: log requests answered without a body all the same."),
    flag("log-sendfile", |o| &mut o.log.log_sendfile)
        .argument(Argument::Required)
        .help("With disable-logging: log requests answered with a file by sendfile all the same."),
    flag("log-ioerror", |o| &mut o.log.log_ioerror)
        .argument(Argument::Required)
        .help("With disable-logging: log requests whose client was lost all the same."),
    parsed("log-format", "FORMAT", read_format)
        .aliases(&["logformat"])
        .help("The form of the request line; %(name) stands for a value of the request. docs/logs.md has the names."),
    flag("log-format-strftime", |o| &mut o.log.log_format_strftime)
        .aliases(&["logformat-strftime"])
        .help("%(ftime) in log-format has the form of log-date."),
    flag("log-micros", |o| &mut o.log.log_micros)
        .help("The default request line tells microseconds instead of milliseconds."),
    flag("log-x-forwarded-for", |o| &mut o.log.log_x_forwarded_for)
        .help("The address in request lines is what X-Forwarded-For says. Any client can say anything there."),
    flag("memory-report", |o| &mut o.log.memory_report)
        .short('m')
        .help("The default request line begins with the worker's memory; asked from the kernel for each request."),
    parsed("log-date", "FORM", read_date)
        .aliases(&["logdate", "log-prefix"])
        .argument(Argument::Optional)
        .help("Put the time before each line of the server: as ctime writes it, or in a form of strftime (%%Y in a file)."),
    flag("log-json", |o| &mut o.log.log_json)
        .ours()
        .help("Every line is a JSON object: those of requests, of the server and of the app. docs/logs.md has the keys."),
    parsed("logto", "FILE", |o, e| read_logto(e).map(|to| { o.log.logto = to; None }))
        .help("Append all log lines to a file, opened before privileges are dropped, or send them to host:port by UDP."),
    parsed("logto2", "FILE", |o, e| read_logto(e).map(|to| { o.log.logto2 = to; None }))
        .help("As logto, opened after privileges are dropped."),
    flag("log-truncate", |o| &mut o.log.log_truncate)
        .help("Empty the file of logto at the start."),
    flag("log-reopen", |o| &mut o.log.log_reopen)
        .help("Open log files anew at a reload, so that moved files are left."),
    bytes("log-maxsize", |o| &mut o.log.log_maxsize)
        .implying_master()
        .help("Rotate the file of logto when it has so many bytes."),
    path("log-backupname", "FILE", |o| &mut o.log.log_backupname)
        .help("What the rotated file of logto is called; without it the seconds since 1970 are put behind its name."),
    flag("logfile-chown", |o| &mut o.log.logfile_chown)
        .help("Log files belong to uid and gid."),
    parsed("logfile-chmod", "MODE", read_chmod)
        .help("Mode of log files, three octal digits such as 640."),
    parsed("logger", "[NAME ]KIND:ARGUMENT", |o, e| {
        o.log.logger.push(located(e, log_target::logger)?);
        Ok(None)
    })
    .repeatable()
    .implying_master()
    .help("Where lines go: file:PATH, stdio, fd:N, syslog[:TAG[,FACILITY]], rsyslog:HOST:PORT[,TAG] or \
           socket:ADDRESS. Several may be named. One with a name gets only what log-route sends it."),
    parsed("req-logger", "[NAME ]KIND:ARGUMENT", |o, e| {
        o.log.req_logger.push(located(e, log_target::logger)?);
        Ok(None)
    })
    .aliases(&["logger-req"])
    .repeatable()
    .help("As logger, for request lines, which then leave the others."),
    parsed("log-syslog", "TAG", |o, e| read_kind(o, e, "syslog"))
        .argument(Argument::Optional)
        .implying_master()
        .help("The same as logger = syslog:TAG."),
    parsed("log-socket", "ADDRESS", |o, e| read_kind(o, e, "socket"))
        .implying_master()
        .help("The same as logger = socket:ADDRESS."),
    parsed("log-route", "LOGGER REGEX", |o, e| {
        o.log.log_route.push(located(e, log_target::route)?);
        Ok(None)
    })
    .repeatable()
    .implying_master()
    .help("Lines that match go to the logger of that name and nowhere else."),
    parsed("log-req-route", "LOGGER REGEX", |o, e| {
        o.log.log_req_route.push(located(e, log_target::route)?);
        Ok(None)
    })
    .repeatable()
    .help("As log-route, for request lines and the loggers of req-logger."),
    parsed("log-drain", "REGEX", |o, e| {
        o.log.log_drain.push(located(e, log_target::pattern)?);
        Ok(None)
    })
    .repeatable()
    .implying_master()
    .help("Lines that match are thrown away."),
    parsed("log-filter", "REGEX", |o, e| {
        o.log.log_filter.push(located(e, log_target::pattern)?);
        Ok(None)
    })
    .repeatable()
    .implying_master()
    .help("Lines that match none of these are thrown away."),
    parsed("log-encoder", "NAME[:LOGGER] ARGUMENT", |o, e| {
        o.log.log_encoder.push(located(e, log_target::encoder)?);
        Ok(None)
    })
    .repeatable()
    .implying_master()
    .help("Change each line, in the order written: format TEMPLATE, json TEMPLATE (with ${msg}, ${unix}, ${micros}, \
           ${strftime:FORM}), nl, prefix TEXT, suffix TEXT."),
    parsed("log-req-encoder", "NAME[:LOGGER] ARGUMENT", |o, e| {
        o.log.log_req_encoder.push(located(e, log_target::encoder)?);
        Ok(None)
    })
    .repeatable()
    .implying_master()
    .help("As log-encoder, for the lines that go to the loggers of req-logger."),
    flag("log-master", |o| &mut o.log.log_master)
        .aliases(&["threaded-logger"])
        .implying_master()
        .help("All lines go through a thread of the master, what programs of the app print included. Loggers, routes \
               and encoders switch it on; otherwise each process writes its lines itself, which is faster."),
    bytes("log-master-bufsize", |o| &mut o.log.log_master_bufsize)
        .help("With log-master: longer lines are written in pieces of so many bytes. Without it none is broken up to a MiB."),
    number("rsyslog-packet-size", "bytes", |o| &mut o.log.rsyslog_packet_size)
        .help("The most that one message of an rsyslog logger has; the rest of a line is cut off, or see \
               rsyslog-split-messages."),
    flag("rsyslog-split-messages", |o| &mut o.log.rsyslog_split_messages)
        .help("Send the rest of a line beyond rsyslog-packet-size as further messages."),
];

fn located<T>(entry: &Entry, read: fn(&str) -> Result<T, Problem>) -> Result<Located<T>, Problem> {
    read(entry.text()).map(|value| Located::new(value, entry.origin.clone()))
}

fn read_logto(entry: &Entry) -> Result<Option<Located<log_target::LogTo>>, Problem> {
    located(entry, log_target::logto).map(Some)
}

fn read_kind(options: &mut Options, entry: &Entry, kind: &str) -> Result<Option<Problem>, Problem> {
    let sink = log_target::sink(kind, entry.text())?;
    let logger = log_target::Logger { name: None, sink };
    options
        .log
        .logger
        .push(Located::new(logger, entry.origin.clone()));
    Ok(None)
}

fn read_format(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    options.log.log_format = Some(LogFormat::parse(entry.text()));
    Ok(LogFormat::remark(entry.text()))
}

/// A switch, or a form of strftime.
fn read_date(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    let text = entry.text();
    options.log.log_date = match text {
        _ if !is_on(entry.value.as_deref()) => None,
        "" | "1" => Some(LogDate::Ctime),
        _ if text.eq_ignore_ascii_case("true") => Some(LogDate::Ctime),
        form => Some(LogDate::Strftime(form.to_owned())),
    };
    Ok(None)
}

fn read_chmod(options: &mut Options, entry: &Entry) -> Result<Option<Problem>, Problem> {
    options.log.logfile_chmod = Some(socket_mode(entry.value.as_deref())?);
    Ok(None)
}
