; Symbols of Python. Captures: see src/parse/grammar.rs.

(module (expression_statement (string) @module.doc))

(function_definition name: (_) @name body: (_) @body) @definition.function
(class_definition name: (_) @name body: (_) @body) @definition.class
(decorated_definition definition: (_ name: (_) @name)) @extent

(function_definition name: (_) @name body: (block . (expression_statement (string) @docstring))) @extent
(class_definition name: (_) @name body: (block . (expression_statement (string) @docstring))) @extent

(module
  (expression_statement (assignment left: (identifier) @name)) @definition.constant
  (#match? @name "^_*[A-Z][A-Z0-9_]*$"))
(type_alias_statement left: (_) @name) @definition.type

(comment) @doc
