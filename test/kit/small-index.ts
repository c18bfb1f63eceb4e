/** Limits of the LMDB record index under which a few rows do what millions do: pages split, blocks wait, slices are merged. */
export const SMALL_INDEX = {
  pageBytes: 20,
  entriesPerPage: 4,
  blockFrom: 2,
  blockFull: 20,
  entriesMax: 200,
  worthPages: 0.5,
  pagesAlong: 1,
  filterFrom: 1,
};
