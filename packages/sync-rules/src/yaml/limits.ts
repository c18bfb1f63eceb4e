/**
 * Bounds on a document, checked before the YAML parser sees it: the parser recurses, builds patterns from the
 * indentation, and looks at properties again and again, so a hostile document could stop the process.
 */
export const DOCUMENT_LENGTH_MAX = 1024 * 1024;
/** Nodes looked at, where an alias counts as what it stands for. */
export const NODES_MAX = 100_000;

const FLOW_DEPTH_MAX = 100;
const INDENT_MAX = 300;
/** `- - - -`: block collections that start on one line. */
const COMPACT_RUN = /(?:[-?:][ \t]+){100}/;
const PROPERTY_RUN = /(?:[!&]\S*\s+){50}/;
const WIDE_INDENT = new RegExp(`^[ \\t]{${INDENT_MAX}}`, 'm');

export function isTooComplex(text: string): boolean {
  return (
    WIDE_INDENT.test(text) || PROPERTY_RUN.test(text) || COMPACT_RUN.test(text) || flowDepth(text) > FLOW_DEPTH_MAX
  );
}

/** An upper bound: brackets in texts and comments count too. */
function flowDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if ((code === 0x5d || code === 0x7d) && depth > 0) depth--;
  }
  return deepest;
}
