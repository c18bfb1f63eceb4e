;; The text of COPY, in its messages, is cut into values: sixteen bytes are looked at together for one that means something.
;;
;; cut-program.ts fills the memory and says what is where. Compiled into cut-rows-program.ts by
;; `UPDATE=1 npx vitest run test/wasm.test.ts`.
(module
  (memory (export "memory") 13 13)

  ;; 0x0000: what is open between two calls, four bytes each: column | whether the value is null | whether a backslash came
  ;; last | where the value starts | where the next byte goes || values | rows | where these end.
  ;; 0x0100: what each letter stands for behind a backslash.
  ;; 0x10000 the messages; 0x21000 the bytes of values; 0x40000 where values start (-1 for null), 0x80000 where they end.

  ;; Cuts whole messages. Places of values are counted from where the bytes of all values start; so is what is in the state.
  ;; Returns 0 if a row has another number of columns.
  (func (export "cut") (param $at i32) (param $to i32) (param $columns i32) (result i32)
    (local $end i32) (local $out i32) (local $moved i32) (local $bytes v128) (local $found i32) (local $byte i32)
    (local $column i32) (local $value i32)
    (local.set $out (i32.const 0x21000))
    (local.set $moved (i32.sub (i32.load (i32.const 0x10)) (local.get $out)))
    (local.set $column (i32.load (i32.const 0x00)))
    (i32.store (i32.const 0x14) (i32.const 0))
    (i32.store (i32.const 0x18) (i32.const 0))
    (block $done
      (loop $message
        (br_if $done (i32.ge_u (local.get $at) (local.get $to)))
        ;; A letter, and the length of what is behind it, most significant byte first.
        (local.set $end (i32.add (i32.add (local.get $at) (i32.const 1)) (i32.or
          (i32.or
            (i32.shl (i32.load8_u offset=1 (local.get $at)) (i32.const 24))
            (i32.shl (i32.load8_u offset=2 (local.get $at)) (i32.const 16)))
          (i32.or
            (i32.shl (i32.load8_u offset=3 (local.get $at)) (i32.const 8))
            (i32.load8_u offset=4 (local.get $at))))))
        (local.set $at (i32.add (local.get $at) (i32.const 5)))
        (loop $next
          (br_if $message (i32.ge_u (local.get $at) (local.get $end)))
          (if (i32.load (i32.const 0x08))
            (then
              (local.set $byte (i32.load8_u (local.get $at)))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (i32.store (i32.const 0x08) (i32.const 0))
              (if (i32.eq (local.get $byte) (i32.const 0x4e)) ;; N
                (then (i32.store (i32.const 0x04) (i32.const 1)))
                (else
                  (i32.store8 (local.get $out) (i32.load8_u offset=0x100 (local.get $byte)))
                  (local.set $out (i32.add (local.get $out) (i32.const 1)))))
              (br $next)))
          (local.set $bytes (v128.load (local.get $at)))
          (v128.store (local.get $out) (local.get $bytes))
          (local.set $found
            (i8x16.bitmask (v128.or
              (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x5c)))
              (v128.or
                (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x09)))
                (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x0a)))))))
          ;; Sixteen if there is none, or as many as there are left.
          (local.set $found (i32.ctz (i32.or (local.get $found) (i32.const 0x10000))))
          (if (i32.ge_u (local.get $found) (i32.sub (local.get $end) (local.get $at)))
            (then
              (local.set $out (i32.add (local.get $out) (i32.sub (local.get $end) (local.get $at))))
              (local.set $at (local.get $end))
              (br $message)))
          (local.set $at (i32.add (local.get $at) (local.get $found)))
          (local.set $out (i32.add (local.get $out) (local.get $found)))
          (br_if $next (i32.eq (local.get $found) (i32.const 16)))
          (local.set $byte (i32.load8_u (local.get $at)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (if (i32.eq (local.get $byte) (i32.const 0x5c))
            (then
              (i32.store (i32.const 0x08) (i32.const 1))
              (br $next)))
          (if (i32.lt_u (local.get $column) (local.get $columns))
            (then
              (i32.store offset=0x40000 (local.get $value)
                (select
                  (i32.const -1)
                  (i32.load (i32.const 0x0c))
                  (i32.load (i32.const 0x04))))
              (i32.store (i32.const 0x0c) (i32.add (local.get $out) (local.get $moved)))
              (i32.store offset=0x80000 (local.get $value) (i32.load (i32.const 0x0c)))
              (i32.store (i32.const 0x04) (i32.const 0))
              (local.set $value (i32.add (local.get $value) (i32.const 4)))))
          (local.set $column (i32.add (local.get $column) (i32.const 1)))
          (br_if $next (i32.eq (local.get $byte) (i32.const 0x09)))
          (i32.store (i32.const 0x00) (local.get $column))
          (if (i32.ne (local.get $column) (local.get $columns)) (then (return (i32.const 0))))
          (local.set $column (i32.const 0))
          (i32.store (i32.const 0x18) (i32.add (i32.load (i32.const 0x18)) (i32.const 1)))
          (i32.store (i32.const 0x1c) (i32.add (local.get $out) (local.get $moved)))
          (br $next))))
    (i32.store (i32.const 0x00) (local.get $column))
    (i32.store (i32.const 0x10) (i32.add (local.get $out) (local.get $moved)))
    (i32.store (i32.const 0x14) (i32.shr_u (local.get $value) (i32.const 2)))
    (i32.const 1)))
