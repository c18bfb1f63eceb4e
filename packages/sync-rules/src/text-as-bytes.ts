/** Rules for copied rows, of rules for single rows: for those that are written by hand, without a document. */
import { writeText } from '@sluice/core';
import type { ByteRowEvaluator, JsonBytes, RowEvaluator } from './api.ts';

export function textAsBytes(evaluator: RowEvaluator): ByteRowEvaluator {
  return {
    evaluate: (rows, sink) => {
      evaluator.evaluate(rows.row(), {
        data: (bucket, objectType, objectId, json) => sink.data(bucket, objectType, objectId, bytesOf(json)),
        lookup: (key, parameterSets) => sink.lookup(key, parameterSets),
        error: (definition, message) => sink.error(definition, message),
      });
    },
  };
}

function bytesOf(json: string): JsonBytes {
  return {
    members: null,
    prepare: () => 3 * json.length,
    write: (_, target, at) => at + writeText(target.bytes, json, at),
  };
}
