use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn sent(parent: &str, state: Option<&str>) -> TraceParent {
    TraceParent { parent: parent.into(), state: state.map(Into::into) }
}

#[test]
fn headers_survive_the_way_through_a_span_context() {
    let sent = sent(PARENT, Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
    assert_eq!(TraceParent::from(&sent.context().unwrap()), sent);
}

#[test]
fn only_the_flag_that_is_defined_is_passed_on() {
    let parent = PARENT.replace("-01", "-ff");
    let context = sent(&parent, None).context().unwrap();
    assert_eq!(&*TraceParent::from(&context).parent, PARENT);
}

#[test]
fn a_state_that_cannot_be_read_does_not_cost_the_trace() {
    let context = sent(PARENT, Some("no equals sign")).context().unwrap();
    assert_eq!(TraceParent::from(&context), sent(PARENT, None));
}

#[test]
fn without_tracing_the_callers_context_is_passed_on_unchanged() {
    let sent = sent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more", Some("a=b"));
    let span = request("POST", "r-1", Some(&sent));
    span.in_scope(|| assert_eq!(outgoing(Some(&sent)), Some(sent.clone())));
    assert_eq!(trace_id(&span, Some(&sent)).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!(outgoing(None), None);
}
