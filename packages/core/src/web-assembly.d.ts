/** As much of it as is used here: Node has it, and its types do not. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module);
    readonly exports: object;
  }
  interface Memory {
    /** Another one after `grow`. */
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
}
