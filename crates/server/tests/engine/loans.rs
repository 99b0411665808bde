//! Halves of a request that the application does not give back: another of its threads still uses them.

use std::sync::mpsc::channel;

use uwgate_server::Served;
use uwgate_server::exchange::{Request, Response};

use crate::app::{DEADLINE, Function, answer, read_all, start};
use crate::worker::Site;

#[test]
fn a_reader_that_goes_on_after_the_answer_learns_that_it_is_over() {
    let site = Site::new(&[]);
    let (lent, loans) = channel::<Box<Request>>();
    let _worker = site.worker(Function(move |request, mut response: Box<Response>| {
        answer(&mut response, b"early");
        lent.send(request).expect("the test waits");
        Served {
            request: None,
            response: Some(response),
            app: Some(0),
            raised: false,
            start_afresh: false,
        }
    }));
    let mut client = site.http_client();
    client.post("/", 200_000);
    client.send(vec![b'x'; 100_000]);
    assert_eq!(client.answer().text(), "early");
    let mut request = loans.recv_timeout(DEADLINE).expect("a request");
    assert!(read_all(&mut request).len() <= 100_000);
    assert!(request.fill().is_err());
    // The client is told as well, although the half still has the socket.
    assert!(client.rest().unwrap_or_default().is_empty());
    drop(request);
}

#[test]
fn a_writer_that_goes_on_after_the_request_writes_into_the_void() {
    let site = Site::new(&[]);
    let (lent, loans) = channel::<Box<Response>>();
    let _worker = site.worker(Function(move |request, mut response: Box<Response>| {
        start(&mut response, "200 OK");
        response.write(b"begun").expect("a reader");
        lent.send(response).expect("the test waits");
        Served {
            request: Some(request),
            response: None,
            app: Some(0),
            raised: false,
            start_afresh: false,
        }
    }));
    let mut client = site.http_client();
    client.get("/");
    let all = client.rest().expect("an end");
    assert!(all.ends_with(b"begun\r\n"));
    let mut response = loans.recv_timeout(DEADLINE).expect("a response");
    let failed = (0..100).any(|_| response.write(b"more").is_err());
    assert!(failed, "nobody reads this");
}
