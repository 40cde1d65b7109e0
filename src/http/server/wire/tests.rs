use super::*;

const BARE: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\
                    date: Fri, 27 Mar 2026 09:30:00 GMT\r\n\r\n";

fn found(text: &str) -> Option<(usize, Code)> {
    bare_answer(text.as_bytes()).map(|(before, code)| (before.len(), code))
}

#[test]
fn a_bare_answer_is_recognised_also_after_another_one() {
    let ours = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx-request-id: a\r\n\r\n{}\n";

    assert_eq!(found(BARE), Some((0, Code::InvalidHeader)));
    assert_eq!(found(&BARE.replace("400", "414")), Some((0, Code::HeadersTooLarge)));
    assert_eq!(found(&BARE.replace("1.1 400", "1.0 431")), Some((0, Code::HeadersTooLarge)));
    assert_eq!(found(&format!("{ours}{BARE}")), Some((ours.len(), Code::InvalidHeader)));
}

#[test]
fn our_own_answers_are_left_alone() {
    let ours = BARE.replace("connection: close", "x-request-id: a");
    for text in [
        "",
        "\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        ours.as_str(),
        &BARE.replace("400", "204"),
        &BARE.replace("content-length: 0", "content-length: 5"),
        &format!("{BARE}x"),
        &BARE[..BARE.len() - 1],
        &format!("{}\r\n\r\n", "x".repeat(1000)),
    ] {
        assert_eq!(found(text), None, "{text}");
    }
}
