import type { Geometry, Position } from './wkb.ts';

/** Well-known text: `POINT(1.5 2)`, `LINESTRING Z(0 0 1,3 1 1)`, `POINT EMPTY`. */
export function wkt(geometry: Geometry): string {
  const dimensions = `${geometry.z ? 'Z' : ''}${geometry.m ? 'M' : ''}`;
  const tag = geometry.type.toUpperCase() + (dimensions === '' ? '' : ` ${dimensions}`);
  const body = content(geometry);
  return body === '' ? `${tag} EMPTY` : `${tag}(${body})`;
}

/** What stands between the parentheses. */
function content(geometry: Geometry): string {
  switch (geometry.type) {
    case 'Point':
      return geometry.point === null ? '' : geometry.point.join(' ');
    case 'LineString':
      return line(geometry.positions);
    case 'Polygon':
      return geometry.rings.map((ring) => `(${line(ring)})`).join(',');
    case 'MultiPoint':
      return geometry.members.map(content).join(',');
    case 'GeometryCollection':
      return geometry.members.map(wkt).join(',');
    case 'MultiLineString':
    case 'MultiPolygon':
      return geometry.members.map((member) => `(${content(member)})`).join(',');
  }
}

function line(positions: readonly Position[]): string {
  return positions.map((position) => position.join(' ')).join(',');
}
