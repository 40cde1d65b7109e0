use super::*;

fn errors_of(read: impl FnOnce(&mut Errors)) -> Problem {
    let mut errors = Errors::default();
    read(&mut errors);
    *errors.finish(None::<()>).unwrap_err().into_problem()
}

#[test]
fn a_name_is_escaped_and_shortened_in_a_pointer() {
    assert_eq!(segment("a/b~c"), "a~1b~0c");
    assert_eq!(segment(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
    assert_eq!(segment(&"é".repeat(64)), "é".repeat(64));
}

#[test]
fn a_flood_of_errors_is_cut_and_counted() {
    let problem = errors_of(|errors| (0..250).for_each(|n| errors.note(format!("/{n}"), "bad")));

    assert_eq!(problem.errors.len(), MAX_REPORTED);
    assert_eq!(problem.detail, "250 fields are not valid; the first 100 are listed.");
}

#[test]
fn one_error_is_told_in_the_detail() {
    assert_eq!(errors_of(|errors| errors.note("/a", "is required")).detail, "/a: is required.");
    assert_eq!(errors_of(|errors| errors.note("", "is wrong")).detail, "The body: is wrong.");
}
