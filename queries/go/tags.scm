; Symbols of Go. Captures: see src/parse/grammar.rs.

(package_clause (package_identifier) @module)

(function_declaration name: (_) @name body: (_)? @body) @definition.function

(method_declaration
  receiver: (parameter_list
    (parameter_declaration
      type: [
        (type_identifier) @container
        (pointer_type (type_identifier) @container)
        (generic_type type: (type_identifier) @container)
        (pointer_type (generic_type type: (type_identifier) @container))
      ]))
  name: (_) @name
  body: (_)? @body) @definition.method

(type_spec name: (_) @name type: (struct_type) @body) @definition.struct
(type_spec name: (_) @name type: (interface_type) @body) @definition.interface
(type_spec name: (_) @name) @definition.type
(type_alias name: (_) @name) @definition.type
; A lone type in its declaration owns all of it, a grouped one only its spec.
(type_declaration . (type_spec name: (_) @name) .) @extent
(type_declaration . (type_alias name: (_) @name) .) @extent

(source_file (const_declaration (const_spec name: (identifier) @name)) @definition.constant)
(source_file (var_declaration (var_spec name: (identifier) @name)) @definition.variable)
(source_file (var_declaration (var_spec_list (var_spec name: (identifier) @name))) @definition.variable)

(comment) @doc
