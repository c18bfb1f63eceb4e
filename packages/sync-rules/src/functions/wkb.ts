/** Well-known binary, ISO and extended (PostGIS) forms. */
import { EvaluationError } from '../evaluation-error.ts';

/** x, y, then z and m where the geometry has them. */
export type Position = readonly number[];

export interface Dimensions {
  readonly z: boolean;
  readonly m: boolean;
}

export type Geometry = Dimensions &
  (
    | { readonly type: 'Point'; readonly point: Position | null }
    | { readonly type: 'LineString'; readonly positions: readonly Position[] }
    | { readonly type: 'Polygon'; readonly rings: readonly (readonly Position[])[] }
    | {
        readonly type: 'MultiPoint' | 'MultiLineString' | 'MultiPolygon' | 'GeometryCollection';
        readonly members: readonly Geometry[];
      }
  );

const COLLECTIONS = { 4: 'MultiPoint', 5: 'MultiLineString', 6: 'MultiPolygon', 7: 'GeometryCollection' } as const;
const EWKB_Z = 0x8000_0000;
const EWKB_M = 0x4000_0000;
const EWKB_SRID = 0x2000_0000;
const DEPTH_MAX = 100;

/** @throws EvaluationError if the bytes are no geometry we know */
export function parseWkb(bytes: Uint8Array): Geometry {
  try {
    return new Reader(bytes).geometry(0);
  } catch (error) {
    if (error instanceof RangeError) throw new EvaluationError('the geometry ends too early');
    throw error;
  }
}

class Reader {
  readonly #view: DataView;
  #at = 0;
  #littleEndian = true;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  geometry(depth: number): Geometry {
    if (depth > DEPTH_MAX) throw new EvaluationError('the geometry nests too deeply');
    this.#littleEndian = this.#view.getUint8(this.#at++) === 1;
    const code = this.#uint32();
    if ((code & EWKB_SRID) !== 0) this.#at += 4;
    const iso = code & 0x0fff_ffff;
    const variant = Math.floor(iso / 1000);
    const dimensions = {
      z: (code & EWKB_Z) !== 0 || variant === 1 || variant === 3,
      m: (code & EWKB_M) !== 0 || variant === 2 || variant === 3,
    };
    return this.#body(iso % 1000, dimensions, depth);
  }

  #body(type: number, dimensions: Dimensions, depth: number): Geometry {
    switch (type) {
      case 1: {
        const point = this.#position(dimensions);
        return { ...dimensions, type: 'Point', point: point.every(Number.isNaN) ? null : point };
      }
      case 2:
        return { ...dimensions, type: 'LineString', positions: this.#positions(dimensions) };
      case 3:
        return { ...dimensions, type: 'Polygon', rings: this.#list(() => this.#positions(dimensions)) };
      case 4:
      case 5:
      case 6:
      case 7:
        return { ...dimensions, type: COLLECTIONS[type], members: this.#list(() => this.geometry(depth + 1)) };
      default:
        throw new EvaluationError(`geometry type ${type} is not known`);
    }
  }

  #positions(dimensions: Dimensions): Position[] {
    return this.#list(() => this.#position(dimensions));
  }

  #position({ z, m }: Dimensions): Position {
    return Array.from({ length: 2 + Number(z) + Number(m) }, () => this.#double());
  }

  /** Grows with what is read, so that a false count runs into the end instead of into memory. */
  #list<T>(read: () => T): T[] {
    const count = this.#uint32();
    const list: T[] = [];
    while (list.length < count) list.push(read());
    return list;
  }

  #uint32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, this.#littleEndian);
  }

  #double(): number {
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, this.#littleEndian);
  }
}
