/** What expressions can read of one client connection. Numbers of token and parameters are doubles, so reals. */
import { bigJson, fromPlainJson, type JsonValue } from './json.ts';
import { jsonToValue } from './json-path.ts';
import { normaliseParam, type Value } from './value.ts';

export class RequestValues {
  readonly #token: Readonly<Record<string, unknown>>;
  readonly #parameters: Readonly<Record<string, unknown>>;
  #tokenText: string | undefined;
  #connectionText: string | undefined;

  constructor(token: Readonly<Record<string, unknown>>, parameters: Readonly<Record<string, unknown>>) {
    this.#token = token;
    this.#parameters = parameters;
  }

  /** The whole token payload as JSON text. */
  get tokenText(): string {
    return (this.#tokenText ??= parametersText(this.#token));
  }

  /** The client's own parameters as JSON text. */
  get connectionText(): string {
    return (this.#connectionText ??= parametersText(this.#parameters));
  }

  /** Claim `sub`: a text, a real if the claim is a number, JSON text if it is an object, null if it is missing. */
  get userId(): Value {
    return plainValue(own(this.#token, 'sub'));
  }

  /** Claim `parameters.name`, whole numbers as integers, where `user_id` means `sub`. */
  tokenParameter(name: string): Value {
    if (name === 'user_id') return normaliseParam(this.userId);
    const claims = own(this.#token, 'parameters');
    return typeof claims === 'object' && claims !== null ? normaliseParam(plainValue(own(claims, name))) : null;
  }

  /** Whole numbers as integers. */
  connectionParameter(name: string): Value {
    return normaliseParam(plainValue(own(this.#parameters, name)));
  }
}

/** Parameters of a connection or a subscription as JSON text. */
export function parametersText(parameters: Readonly<Record<string, unknown>>): string {
  return bigJson(fromPlainJson(parameters));
}

function own(object: object, name: string): unknown {
  return Object.hasOwn(object, name) ? (object as Readonly<Record<string, unknown>>)[name] : undefined;
}

function plainValue(value: unknown): Value {
  const json: JsonValue = fromPlainJson(value);
  return json === undefined ? null : jsonToValue(json, 'fixed');
}
