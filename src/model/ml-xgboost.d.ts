/** The emscripten module inside ml-xgboost 1.1.2, as far as it is used. The package ships no declarations. */
declare module 'ml-xgboost/dist/wasm/xgboost.js' {
  interface XgboostModule {
    readonly isReady: Promise<XgboostModule>;
    /** Receives every line the library prints on its error stream. */
    printErr: (text: string) => void;
    readonly HEAPU8: Uint8Array;
    readonly HEAPF32: Float32Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _create_model(rows: number, labels: number, rowCount: number, columnCount: number): number;
    _train_full_model(model: number, rounds: number): void;
    _save_model(model: number): number;
    _get_file_content(pointer: number, size: number): void;
    _predict_one(model: number, row: number, columnCount: number, out: number): number;
    _free_memory_model(model: number): void;
    cwrap(
      name: 'set_param',
      returns: null,
      parameters: ['number', 'string', 'string'],
    ): (model: number, name: string, value: string) => void;
  }
  const module: XgboostModule;
  export default module;
}
