/**
 * Every diagnostic of a sync rules document. A code never changes its meaning; docs/sync-rules.md has one heading for
 * each. A message is the text plus what it is about: "There is no such function: uper(name)."
 */
interface DiagnosticEntry {
  readonly severity: 'fatal' | 'warning';
  /** What is wrong, without a full stop. */
  readonly text: string;
  /** What to do about it. */
  readonly hint: string;
}

function fatal(text: string, hint: string): DiagnosticEntry {
  return { severity: 'fatal', text, hint };
}

function warning(text: string, hint: string): DiagnosticEntry {
  return { severity: 'warning', text, hint };
}

export const diagnosticCodes = {
  // --- the document -------------------------------------------------------------------------------------------------
  'yaml-syntax': fatal(
    'This is not valid YAML',
    'Mend the YAML at this place; often it is the indentation or a quote.',
  ),
  'yaml-too-large': fatal('The document is too large', 'Sync rules may have up to 1 MiB of text.'),
  'yaml-too-complex': fatal('The document nests too deep or repeats too many aliases', 'Write it out flat.'),
  'document-empty': fatal(
    'Nothing is defined here',
    'Add bucket_definitions (editions 1 and 2) or streams (edition 3).',
  ),
  'not-a-map': fatal('A map is needed here', 'Write keys and values, each key on its own line.'),
  'not-a-list': fatal('A list is needed here', 'Write one item a line, each after a dash.'),
  'not-a-string': fatal('A text is needed here', 'Write the SQL as one text.'),
  'not-a-boolean': fatal('true or false is needed here', 'Write true or false without quotes.'),
  'unknown-key': fatal('There is no such key', 'See docs/sync-rules.md for the keys.'),
  'missing-key': fatal('A key is missing', 'Add it; see docs/sync-rules.md.'),
  'wrong-value': fatal('This value is not allowed', 'See docs/sync-rules.md for the values.'),
  'duplicate-name': fatal(
    'This name is taken by another definition',
    'Names are unique across bucket_definitions and streams.',
  ),
  'needs-edition': fatal('The edition of these rules does not have this', 'Set config.edition, or leave it out.'),
  'old-edition': warning(
    'Streams are an early version in this edition',
    'Set config.edition to 3 to get streams with joins and common table expressions.',
  ),
  'storage-version-unstable': warning('This storage version is not stable', 'Leave storage_version out.'),
  'engine-ignored': warning(
    'There is one expression engine: this option has no effect',
    'Leave unstable_sqlite_expression_engine out. NOT of null is 1 here, not null.',
  ),
  'query-or-queries': fatal('A stream has either query or queries', 'Keep one of the two.'),
  'option-conflict': fatal('This option needs another one', 'See the options of config in docs/sync-rules.md.'),

  // --- SQL: form ----------------------------------------------------------------------------------------------------
  'sql-syntax': fatal('This is not valid SQL', 'Mend the SQL at this place.'),
  'sql-empty': fatal('There is no SQL here', 'Write a SELECT.'),
  'sql-too-deep': fatal('The SQL nests too deep', 'Split the expression or use fewer parentheses.'),
  'not-a-select': fatal('Only SELECT can be used here', 'Write one SELECT.'),
  'second-statement': fatal('There is a second statement', 'Put each statement into its own list item.'),
  'unsupported-clause': fatal(
    'This clause is not supported',
    'Leave it out: rules select rows, clients order and group.',
  ),
  'unsupported-source': fatal('Rows cannot be read from this', 'Select from one table.'),
  'unsupported-join': fatal('This join is not supported', 'Use one table; in edition 3, INNER JOIN with ON.'),
  'upper-case-name': warning(
    'Unquoted names are read in lower case',
    'Write the name in lower case, or in double quotes to keep its case.',
  ),

  // --- SQL: expressions ---------------------------------------------------------------------------------------------
  'unknown-function': fatal('There is no such function', 'See the list of functions in docs/sync-rules.md.'),
  'wrong-argument-count': fatal('The number of arguments is wrong', 'See the list of functions in docs/sync-rules.md.'),
  'unsupported-expression': fatal(
    'This expression is not supported in this edition',
    'See the list of operators in docs/sync-rules.md.',
  ),
  'unsupported-cast': fatal('There is no cast to this type', 'Cast to text, integer, real, numeric or blob.'),
  'json-path-not-text': fatal(
    'A JSON path is a text in this edition',
    "Write the key in quotes: -> 'key'; array elements are reached as '0'.",
  ),
  'in-list': fatal('IN does not take a list in parentheses', "Write IN ARRAY['a', 'b'] in edition 3."),
  'unknown-table-name': fatal('No table of the query has this name', 'Use the name or alias given in FROM.'),
  'unknown-name': fatal('There is no such column here', 'Use a column of the table in FROM, or a request function.'),
  'wrong-schema-name': fatal('A schema name has at most one dot', 'Write "schema".table or "connection.schema".table.'),
  'alias-needed': fatal('An output needs a name', 'Write AS name behind the expression.'),

  // --- bucket definitions -------------------------------------------------------------------------------------------
  'table-alias': fatal('A parameter query cannot name its table anew', 'Use the real name of the table.'),
  'star-in-parameters': fatal('A parameter query cannot select *', 'Name the columns that become bucket parameters.'),
  'expression-on-row': fatal(
    'A parameter query can only output bare columns of its table',
    'Select the column itself, or compute the value in the data query.',
  ),
  'json-each-arguments': fatal(
    'json_each takes one argument made of request values',
    "Write json_each(request.jwt() -> 'key').",
  ),
  'different-parameters': fatal(
    'The parameter queries of a definition must output the same names',
    'Give each query the same outputs, in any order.',
  ),
  'wrong-priority': fatal('A priority is 0, 1, 2 or 3', 'Write one of these integers; 0 is synced first.'),
  'priority-twice': fatal('The priority is given twice', 'Give priority for the definition or _priority in the query.'),
  'no-parameter-query': fatal(
    'The parameter queries cannot be used, so this query cannot either',
    'Mend the parameter queries first.',
  ),
  'missing-id': fatal('A data query must output a column named id', 'Select id, or another column AS id.'),
  'uncovered-parameters': fatal(
    'The query must compare with each bucket parameter, and with no other',
    'Compare a column with bucket.name for each parameter of the definition, in every branch.',
  ),
  'request-in-data-query': fatal(
    'A data query cannot use the request',
    'Use the request in a parameter query, and compare with bucket.name here.',
  ),
  'parameter-misplaced': fatal(
    'A parameter can only be compared with a column here, by = or IN',
    'Compare it alone with a column: column = parameter, or parameter IN json_column.',
  ),
  'mixed-inputs': fatal(
    'Request values and columns cannot meet in this operator',
    'Compare them with = or IN, and compute on each side alone.',
  ),
  'parameter-match-in-expression': fatal(
    'A comparison with a parameter cannot be negated or used as a value',
    'Use it as a condition, joined to others by AND.',
  ),
  'too-many-arrays': fatal('Only one IN with an array per query', 'Use = for the others, or split the query.'),
  'or-different-parameters': fatal(
    'Both sides of OR must use the same parameters',
    'Split the condition into several queries.',
  ),
  'dangerous-parameters': warning(
    'Clients can choose these values freely: no value from the token protects them',
    'Use request.user_id() or request.jwt() too, or set accept_potentially_dangerous_queries: true.',
  ),

  // --- streams ------------------------------------------------------------------------------------------------------
  'no-primary-table': fatal(
    'The query selects no column of a table',
    'Select columns of the one table whose rows are to be synced.',
  ),
  'second-table-selected': fatal(
    'All outputs must come from one table',
    'Select columns of one table; others can be joined for conditions.',
  ),
  'request-in-select': fatal(
    'Values of the request cannot be selected',
    'Use them in WHERE; clients know them already.',
  ),
  'not-a-table-column': fatal('Elements of an array cannot be selected', 'Select columns of the table.'),
  'ambiguous-column': fatal(
    'This column must be qualified',
    'Write table.column: more than one table is in scope, or none.',
  ),
  'no-such-column': fatal(
    'There is no such column',
    'Use a column that the inner query selects; of json_each, key or value.',
  ),
  'duplicate-source': fatal('Two sources have the same name', 'Give one of them another name with AS.'),
  'star-in-subquery': fatal('A query inside cannot select *', 'Name the columns.'),
  'one-column-needed': fatal('Exactly one column is needed here', 'Select one column.'),
  'json-each-mixed': fatal(
    'The argument of json_each depends on more than one thing',
    'Take it from one table, or from the request, and not from another json_each.',
  ),
  'mixed-sources': fatal(
    'This meets something else than = here',
    'Compare columns of two tables, or a column and the request, by = or IN only, not negated, and compute on each side alone.',
  ),
  'too-many-terms': fatal('The condition has too many alternatives', 'Reduce OR inside AND, or split the query.'),
  'too-many-sources': fatal('The query reads too many tables and arrays', 'Split it into several queries.'),
  'expression-too-large': fatal(
    'The expression is too large',
    'Use fewer columns of queries that use columns of queries.',
  ),
  'too-many-buckets': fatal('The stream has too many kinds of buckets', 'Split it into several streams.'),
  'inferred-name': warning('The name of this output is its SQL text', 'Write AS name behind the expression.'),
  'star-overwrites': warning(
    'This star may replace an output before it',
    'Write the star first: later outputs replace earlier ones of the same name.',
  ),
  'distinct-ignored': warning('DISTINCT has no effect', 'Leave it out: a row is synced once.'),
  'unused-common-table': warning('This common table expression is not used', 'Use it, or leave it out.'),
  'common-table-shadows': warning('A table of the source has the same name', 'Choose another name for one of them.'),
  'default-uses-subscription': warning(
    'The stream is a default, but uses parameters of subscriptions',
    'Defaults have no subscription parameters: set auto_subscribe: false.',
  ),
  'or-in-subquery': fatal('OR cannot be used in a query inside, in this edition', 'Use edition 3, or two conditions.'),
  'subquery-without-request': fatal(
    'The query inside must depend on the request, in this edition',
    'Compare one of its columns with a request value, or use edition 3.',
  ),
  'negated-parameter': fatal(
    'A comparison with the request or with a query cannot be negated',
    'Write the condition without NOT.',
  ),

  // --- source schema ------------------------------------------------------------------------------------------------
  'unknown-table': warning('The source has no such table', 'Check schema and name; names in rules are lower case.'),
  'unknown-column': warning('The table has no such column', 'Check the name; names in rules are lower case.'),
  'star-without-id': warning('The table has no column id', 'Select the key of the table AS id.'),
} as const satisfies Record<string, DiagnosticEntry>;

export type DiagnosticCode = keyof typeof diagnosticCodes;
