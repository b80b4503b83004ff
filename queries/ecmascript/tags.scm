; What JavaScript, TypeScript and TSX share. Captures: see src/parse/grammar.rs.

(function_declaration name: (_) @name body: (_) @body) @definition.function
(generator_function_declaration name: (_) @name body: (_) @body) @definition.function
(class_declaration name: (_) @name body: (_) @body) @definition.class
(method_definition name: (_) @name body: (_) @body) @definition.method

(lexical_declaration
  (variable_declarator
    name: (identifier) @name
    value: [
      (arrow_function body: (_) @body)
      (function_expression body: (_) @body)
      (generator_function body: (_) @body)
    ])) @definition.function
(variable_declaration
  (variable_declarator
    name: (identifier) @name
    value: [
      (arrow_function body: (_) @body)
      (function_expression body: (_) @body)
      (generator_function body: (_) @body)
    ])) @definition.function
(lexical_declaration
  (variable_declarator name: (identifier) @name value: (class body: (_) @body))) @definition.class
(variable_declaration
  (variable_declarator name: (identifier) @name value: (class body: (_) @body))) @definition.class

(pair
  key: [(property_identifier) (string)] @name
  value: [
    (arrow_function body: (_) @body)
    (function_expression body: (_) @body)
    (generator_function body: (_) @body)
  ]) @definition.method

; foo = function () {}
(expression_statement
  (assignment_expression
    left: (identifier) @name
    right: [
      (arrow_function body: (_) @body)
      (function_expression body: (_) @body)
      (generator_function body: (_) @body)
      (class body: (_) @body)
    ])) @definition.function
; exports.foo = function () {}, Foo.prototype.bar = function () {}
(expression_statement
  (assignment_expression
    left: (member_expression object: (_) @object property: (_) @name)
    right: [
      (arrow_function body: (_) @body)
      (function_expression body: (_) @body)
      (generator_function body: (_) @body)
      (class body: (_) @body)
    ])) @definition.function
; a.foo = a.bar = function () {}
(expression_statement
  (assignment_expression
    left: (member_expression object: (_) @object property: (_) @name)
    right: (assignment_expression
      right: [
        (arrow_function body: (_) @body)
        (function_expression body: (_) @body)
      ]))) @definition.function
; defineGetter(object, "name", function name() {})
(expression_statement
  (call_expression
    arguments: (arguments
      (function_expression name: (identifier) @name body: (_) @body)))) @definition.function

(program
  (lexical_declaration
    (variable_declarator name: (identifier) @name value: (_) @value)) @definition.constant
  (#not-match? @value "^(await +import|require)\\b"))
(program
  (export_statement
    declaration: (lexical_declaration
      (variable_declarator name: (identifier) @name))) @definition.constant)

(export_statement declaration: (_ name: (_) @name)) @extent
(export_statement
  declaration: (lexical_declaration
    (variable_declarator name: (identifier) @name))) @extent

(comment) @doc
(decorator) @attribute
