import type { JsonObject, JsonValue } from '../json.ts';
import type { Dimensions, Geometry, Position } from './wkb.ts';

/** A geometry as a GeoJSON object. GeoJSON has no measures: m is left out. */
export function geoJson(geometry: Geometry): JsonObject {
  if (geometry.type === 'GeometryCollection') {
    return { type: geometry.type, geometries: geometry.members.map(geoJson) };
  }
  return { type: geometry.type, coordinates: coordinates(geometry) };
}

function coordinates(geometry: Geometry): JsonValue {
  switch (geometry.type) {
    case 'Point':
      return geometry.point === null ? [] : withoutMeasure(geometry.point, geometry);
    case 'LineString':
      return geometry.positions.map((position) => withoutMeasure(position, geometry));
    case 'Polygon':
      return geometry.rings.map((ring) => ring.map((position) => withoutMeasure(position, geometry)));
    case 'MultiPoint':
    case 'MultiLineString':
    case 'MultiPolygon':
    case 'GeometryCollection':
      return geometry.members.map(coordinates);
  }
}

function withoutMeasure(position: Position, { z }: Dimensions): Position {
  return position.slice(0, z ? 3 : 2);
}
