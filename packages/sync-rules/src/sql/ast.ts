/**
 * The syntax tree of one SQL scalar of a sync rules file: everything the grammar of all editions can say. Planners
 * decide what an edition allows, so that they can name the exact place of what it does not.
 *
 * Every node carries a half-open range of UTF-16 offsets into the SQL text. A range never includes the parentheses
 * that only group: `(a = 1 OR b = 2) AND c` starts at `a`.
 */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A name as written. `name` is folded to lower case unless it was quoted; `text` is the spelling without quotes. */
export interface Identifier extends Range {
  readonly name: string;
  readonly text: string;
  readonly quoted: boolean;
}

// --- expressions --------------------------------------------------------------------------------------------------

export type LiteralValue = null | boolean | bigint | number | string;

/** `1`, `-1.5`, `'text'`, `true`, `null`. Integers are bigint, decimals (also `2.0`) number. */
export interface Literal extends Range {
  readonly kind: 'literal';
  readonly value: LiteralValue;
}

/** `name` or `table.name`. A schema (`schema.table.name`) parses, so that planners can refuse it by name. */
export interface ColumnReference extends Range {
  readonly kind: 'column';
  readonly schema: Identifier | null;
  readonly table: Identifier | null;
  readonly column: Identifier;
}

/** `f(x)`, `schema.f(x)`; also keyword forms such as `current_date` (no arguments). */
export interface FunctionCall extends Range {
  readonly kind: 'call';
  readonly schema: Identifier | null;
  readonly name: Identifier;
  /** The qualified name without the arguments. */
  readonly nameRange: Range;
  readonly args: readonly Expression[];
  /** `substring(x FROM a FOR b)`: arguments given by keywords. */
  readonly keywordForm: boolean;
  /** First of `DISTINCT`, `*`, `ORDER BY`, `FILTER`, `OVER` found in or behind the call: aggregates and windows. */
  readonly modifier: Range | null;
}

export type BinaryOperator =
  | ('=' | '!=' | '<' | '<=' | '>' | '>=')
  | ('+' | '-' | '*' | '/' | '%' | '^')
  | ('||' | '&&' | '&' | '|' | '#' | '<<' | '>>')
  | ('->' | '->>' | '#>' | '#>>' | '@>' | '<@' | '?')
  | ('~' | '~*' | '!~' | '!~*')
  | ('LIKE' | 'NOT LIKE' | 'ILIKE' | 'NOT ILIKE' | 'SIMILAR TO' | 'NOT SIMILAR TO')
  | ('IS DISTINCT FROM' | 'IS NOT DISTINCT FROM');

/** `<>` is `!=`. Long chains of one operator lean to the left. */
export interface BinaryExpression extends Range {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
}

/**
 * A chain of AND or of OR, at least two operands, flat and in order: `a AND b AND c` is one node, and so is
 * `a AND (b AND c)`. The binary node upstream would see for operands 0..i spans `operands[0].start` to `operands[i].end`.
 */
export interface LogicalExpression extends Range {
  readonly kind: 'logical';
  readonly operator: 'AND' | 'OR';
  readonly operands: readonly Expression[];
}

/** `NOT x`, `+x`, `-x` (a minus before a number literal is part of the literal), `~x`. */
export interface UnaryExpression extends Range {
  readonly kind: 'unary';
  readonly operator: 'NOT' | '+' | '-' | '~';
  readonly operand: Expression;
}

/** `x IS [NOT] NULL | TRUE | FALSE | UNKNOWN`, `x ISNULL`, `x NOTNULL`. */
export interface IsExpression extends Range {
  readonly kind: 'is';
  readonly operand: Expression;
  readonly negated: boolean;
  readonly test: 'NULL' | 'TRUE' | 'FALSE' | 'UNKNOWN';
}

/**
 * `x [NOT] IN right`. What `right` is tells the forms apart: `subquery`, `array` (`ARRAY[..]`), `row` (`ROW(..)`),
 * `list` (`('a', 'b')`), an unqualified `column` (a CTE name, perhaps), or any other scalar.
 */
export interface InExpression extends Range {
  readonly kind: 'in';
  readonly operand: Expression;
  readonly negated: boolean;
  readonly right: Expression;
}

export interface BetweenExpression extends Range {
  readonly kind: 'between';
  readonly operand: Expression;
  readonly negated: boolean;
  readonly low: Expression;
  readonly high: Expression;
}

/** `CASE [operand] WHEN .. THEN .. [ELSE ..] END`; `whens` is never empty. */
export interface CaseExpression extends Range {
  readonly kind: 'case';
  readonly operand: Expression | null;
  readonly whens: readonly { readonly when: Expression; readonly result: Expression }[];
  readonly otherwise: Expression | null;
}

/** `CAST(x AS t)` and `x::t`. */
export interface CastExpression extends Range {
  readonly kind: 'cast';
  readonly operand: Expression;
  readonly type: TypeName;
}

/** `name` is lower case, words separated by one space, without parameters; `array` for `t[]`. */
export interface TypeName extends Range {
  readonly name: string;
  readonly array: boolean;
}

/** `ARRAY[..]`, `ROW(..)`, or a parenthesised list of two or more, whose range includes the parentheses. */
export interface ListExpression extends Range {
  readonly kind: 'array' | 'row' | 'list';
  readonly items: readonly Expression[];
}

/** `(SELECT ..)` where an expression may stand. The range is that of the statement, without the parentheses. */
export interface SubqueryExpression extends Range {
  readonly kind: 'subquery';
  readonly select: SelectStatement;
}

/** `$1`, `:name`, `?`. */
export interface BoundParameter extends Range {
  readonly kind: 'bound';
  readonly text: string;
}

/** Understood by the parser, allowed by no edition: `x[1]`, for example. */
export interface UnsupportedExpression extends Range {
  readonly kind: 'unsupported';
  /** For a message: "array subscripts". */
  readonly construct: string;
}

export type Expression =
  | Literal
  | ColumnReference
  | FunctionCall
  | BinaryExpression
  | LogicalExpression
  | UnaryExpression
  | IsExpression
  | InExpression
  | BetweenExpression
  | CaseExpression
  | CastExpression
  | ListExpression
  | SubqueryExpression
  | BoundParameter
  | UnsupportedExpression;

// --- statements ---------------------------------------------------------------------------------------------------

/** One output. The range of an expression item is that of the expression, without the alias. */
export type SelectItem =
  | (Range & { readonly kind: 'expression'; readonly expression: Expression; readonly alias: Identifier | null })
  | (Range & { readonly kind: 'star'; readonly schema: Identifier | null; readonly table: Identifier | null });

/** The range is name and alias together; `nameRange` the (qualified) name alone. */
export interface TableSource extends Range {
  readonly kind: 'table';
  readonly schema: Identifier | null;
  readonly name: Identifier;
  readonly nameRange: Range;
  readonly alias: Identifier | null;
  readonly columnAliases: readonly Identifier[];
}

/** `json_each(x) [AS a [(names)]]`. The range is that of the call, without the alias. */
export interface FunctionSource extends Range {
  readonly kind: 'function';
  readonly call: FunctionCall;
  readonly alias: Identifier | null;
  readonly columnAliases: readonly Identifier[];
}

/** `(SELECT ..) AS a [(names)]`. The range includes the parentheses, not the alias. */
export interface SubquerySource extends Range {
  readonly kind: 'subquery';
  readonly select: SelectStatement;
  readonly alias: Identifier | null;
  readonly columnAliases: readonly Identifier[];
}

export type Source = TableSource | FunctionSource | SubquerySource;

export interface Join {
  readonly type: 'INNER' | 'CROSS' | 'LEFT' | 'RIGHT' | 'FULL';
  readonly natural: boolean;
  readonly on: Expression | null;
  /** `ON cond`, including the keyword; null without ON. */
  readonly onRange: Range | null;
  readonly using: readonly Identifier[];
  /** From the first keyword of the join (`LEFT`, `JOIN`) to the end of the clause. */
  readonly range: Range;
}

/** One element of FROM, in order. `join` is null for the first and for those behind a comma. */
export interface FromItem {
  readonly source: Source;
  readonly join: Join | null;
}

/** A clause that no edition supports. `range` is what a diagnostic should cover: the clause's first operand. */
export interface ExtraClause {
  readonly clause: 'GROUP BY' | 'HAVING' | 'WINDOW' | 'ORDER BY' | 'LIMIT' | 'OFFSET' | 'FETCH' | 'FOR';
  readonly range: Range;
}

export interface SelectStatement extends Range {
  readonly kind: 'select';
  /** The keyword, if given. */
  readonly distinct: Range | null;
  readonly items: readonly SelectItem[];
  readonly from: readonly FromItem[];
  readonly where: Expression | null;
  readonly extraClauses: readonly ExtraClause[];
}

/** `DELETE ..`, `WITH ..`, `a UNION b`, ...: recognised by its keyword, not looked into. */
export interface OtherStatement extends Range {
  readonly kind: 'other';
  /** Upper case: `DELETE`, `UNION`. */
  readonly keyword: string;
}

export type Statement = SelectStatement | OtherStatement;
