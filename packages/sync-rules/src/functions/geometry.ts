/** Functions over PostGIS geometries, which arrive as (E)WKB in hex or as bytes. */
import { EvaluationError } from '../evaluation-error.ts';
import { bigJson } from '../json.ts';
import { isBlob, isNull, toText, type Value } from '../value.ts';
import { type ScalarFunction, scalarFunction } from './scalar-function.ts';
import { type Geometry, parseWkb } from './wkb.ts';
import { geoJson } from './geo-json.ts';
import { wkt } from './wkt.ts';

export const geometryFunctions: readonly ScalarFunction[] = [
  scalarFunction({ name: 'st_asgeojson', args: 1, doc: 'A geometry as GeoJSON text.' }, ([value]) =>
    mapGeometry(value, (geometry) => bigJson(geoJson(geometry))),
  ),
  scalarFunction({ name: 'st_astext', args: 1, doc: 'A geometry as well-known text.' }, ([value]) =>
    mapGeometry(value, wkt),
  ),
  scalarFunction({ name: 'st_x', args: 1, doc: 'X of a point; null for other geometries.' }, ([value]) =>
    mapGeometry(value, (geometry) => ordinate(geometry, 0)),
  ),
  scalarFunction({ name: 'st_y', args: 1, doc: 'Y of a point; null for other geometries.' }, ([value]) =>
    mapGeometry(value, (geometry) => ordinate(geometry, 1)),
  ),
];

function mapGeometry(value: Value, map: (geometry: Geometry) => Value): Value {
  if (isNull(value)) return null;
  return map(parseWkb(wkbBytes(value)));
}

function wkbBytes(value: Value): Uint8Array {
  if (isBlob(value)) return value;
  const text = toText(value) ?? '';
  if (text.length === 0 || text.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(text)) {
    throw new EvaluationError('a geometry must be (E)WKB, as a blob or as hex text');
  }
  return Buffer.from(text, 'hex');
}

function ordinate(geometry: Geometry, index: number): number | null {
  return geometry.type === 'Point' ? (geometry.point?.[index] ?? null) : null;
}
