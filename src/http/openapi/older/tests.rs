use super::*;

#[test]
fn each_keyword_of_the_newer_version_has_its_older_form() {
    let table = [
        (json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true})),
        (
            json!({"oneOf": [{"$ref": "#/a", "description": "d"}, {"type": "null"}]}),
            json!({"allOf": [{"$ref": "#/a"}], "description": "d", "nullable": true}),
        ),
        (
            json!({"oneOf": [{"$ref": "#/a"}, {"$ref": "#/b"}]}),
            json!({"oneOf": [{"$ref": "#/a"}, {"$ref": "#/b"}]}),
        ),
        (
            json!({"$ref": "#/a", "description": "d"}),
            json!({"allOf": [{"$ref": "#/a"}], "description": "d"}),
        ),
        (json!({"$ref": "#/a"}), json!({"$ref": "#/a"})),
        (json!({"examples": ["x", "y"]}), json!({"example": "x"})),
        (json!({"const": 1}), json!({"enum": [1]})),
        (json!({"exclusiveMinimum": 1}), json!({"minimum": 1, "exclusiveMinimum": true})),
        (json!({"propertyNames": {}, "contentSchema": {}}), json!({})),
        (
            json!({"security": [{"key": ["a"]}, {"key": ["b"]}, {}]}),
            json!({"security": [{"key": []}, {}]}),
        ),
    ];
    for (newer, older) in table {
        let mut value = json!({"schema": newer});
        convert(&mut value);
        assert_eq!(value, json!({"schema": older}));
    }
}

#[test]
fn members_and_examples_keep_their_words() {
    for value in [
        json!({"properties": {"const": {}, "examples": {}, "$ref": {"type": "string"}}}),
        json!({"example": {"type": ["string", "null"], "const": 1}}),
    ] {
        let mut converted = value.clone();
        convert(&mut converted);
        assert_eq!(converted, value);
    }
}

#[test]
fn the_document_says_which_version_it_is() {
    let newer =
        json!({"openapi": "3.1.0", "info": {"license": {"name": "MIT", "identifier": "MIT"}}});
    let older = json!({"openapi": "3.0.3", "info": {"license": {"name": "MIT"}}});
    assert_eq!(converted(&newer), older);
}
