;; Ops as they stand in a run (packages/storage/src/op-run.ts; their bodies: packages/core/src/op.ts) become the ops of an
;; NDJSON line. Sixteen bytes of text are looked at together, and no branch depends on where the quotes are.
;;
;; What others have to know stands in op-transcriber.ts, which fills the memory. Compiled into ndjson-program.ts by
;; `UPDATE=1 npx vitest run test/wasm.test.ts`.
(module
  ;; Behind these texts comes what is given and what is made of it.
  (memory (export "memory") 1)

  ;; 0x0000: for each set of eight bytes, as the bits of a number, sixteen indices: the eight bytes in their order, and
  ;; before each of the set a backslash, which is byte 8.

  ;; 32 bytes each, because $literal copies as many.
  (data (i32.const 0x1000) "{\"op\":\"")
  (data (i32.const 0x1020) "\",\"object_type\":\"")
  (data (i32.const 0x1040) "\",\"op_id\":\"")
  (data (i32.const 0x1060) "\",\"checksum\":")
  (data (i32.const 0x1080) ",\"object_id\":\"")
  (data (i32.const 0x10a0) "\",\"subkey\":\"")
  (data (i32.const 0x10c0) "\",\"data\":")
  ;; Letters of the control characters that have one.
  (data (i32.const 0x10e0) "\00\00\00\00\00\00\00\00btn\00fr\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 0x1100) "0123456789abcdef")

  ;; Where the next byte is read, and where it is written. Stores may go beyond: what is written next stands there.
  (global $from (mut i32) (i32.const 0))
  (global $at (mut i32) (i32.const 0))

  ;; The ops of a piece of a table, with commas between.
  ;; $origin: where the run's first body would stand. $lastOp: of the run.
  ;; Returns where they end, or 0 if a body has other elements than it should.
  (func (export "transcribe")
    (param $entry i32) (param $count i32) (param $bodies i32) (param $origin i32) (param $lastOp f64)
    (param $rawData i32) (param $at i32) (result i32)
    (local $last i64) (local $end i32)
    (local.set $last (i64.trunc_f64_u (local.get $lastOp)))
    (global.set $from (local.get $bodies))
    (global.set $at (local.get $at))
    (loop $next
      (local.set $end (i32.add (local.get $origin) (i32.load offset=4 (local.get $entry))))
      (call $op
        (i64.sub (local.get $last) (i64.load32_u (local.get $entry)))
        (local.get $end)
        (local.get $rawData))
      (if (i32.ne (global.get $from) (local.get $end)) (then (return (i32.const 0))))
      (call $byte (i32.const 0x2c)) ;; ,
      (local.set $entry (i32.add (local.get $entry) (i32.const 12)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (i32.sub (global.get $at) (i32.const 1)))

  ;; What is skipped before each text are its type and its name.
  (func $op (param $id i64) (param $end i32) (param $rawData i32)
    (local $checksum i64)
    (local.set $checksum (i64.load32_s offset=10 (global.get $from)))
    (call $literal (i32.const 0x1000) (i32.const 7))
    (call $text (i32.const 18)) ;; 10 "checksum" 00, four bytes, 02 "op" 00
    (call $literal (i32.const 0x1020) (i32.const 17))
    (call $text (i32.const 13)) ;; 02 "object_type" 00
    (call $literal (i32.const 0x1040) (i32.const 11))
    (call $decimal (local.get $id))
    (call $literal (i32.const 0x1060) (i32.const 13))
    (if (i64.lt_s (local.get $checksum) (i64.const 0))
      (then
        (call $byte (i32.const 0x2d)) ;; -
        (local.set $checksum (i64.sub (i64.const 0) (local.get $checksum)))))
    (call $decimal (local.get $checksum))
    (call $literal (i32.const 0x1080) (i32.const 14))
    (call $text (i32.const 11)) ;; 02 "object_id" 00
    (call $literal (i32.const 0x10a0) (i32.const 12))
    (call $text (i32.const 8)) ;; 02 "subkey" 00
    (if (i32.eq (global.get $from) (local.get $end))
      (then (call $byte (i32.const 0x22)))
      (else
        (call $literal (i32.const 0x10c0) (i32.const 9))
        (call $data (i32.const 6) (local.get $rawData)))) ;; 02 "data" 00
    (call $byte (i32.const 0x7d))) ;; }

  (func $data (param $name i32) (param $rawData i32)
    (local $length i32)
    (if (local.get $rawData)
      (then
        (call $byte (i32.const 0x22))
        (call $text (local.get $name))
        (call $byte (i32.const 0x22)))
      (else
        (global.set $from (i32.add (global.get $from) (local.get $name)))
        (local.set $length (i32.load (global.get $from)))
        (memory.copy (global.get $at) (i32.add (global.get $from) (i32.const 4)) (i32.sub (local.get $length) (i32.const 1)))
        (global.set $at (i32.add (global.get $at) (i32.sub (local.get $length) (i32.const 1))))
        (global.set $from (i32.add (global.get $from) (i32.add (local.get $length) (i32.const 4)))))))

  ;; A text: its length, which counts the zero behind it; then its bytes.
  (func $text (param $name i32)
    (local $from i32) (local $end i32)
    (local.set $from (i32.add (global.get $from) (local.get $name)))
    (local.set $end (i32.add (local.get $from) (i32.add (i32.const 4) (i32.load (local.get $from)))))
    (call $escape (i32.add (local.get $from) (i32.const 4)) (i32.sub (local.get $end) (i32.const 1)))
    (global.set $from (local.get $end)))

  (func $escape (param $from i32) (param $to i32)
    (local $at i32) (local $bytes v128) (local $count i32) (local $within i32) (local $quoted i32) (local $low i32)
    (local.set $at (global.get $at))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $to)))
        (local.set $bytes (v128.load (local.get $from)))
        (local.set $count (i32.sub (local.get $to) (local.get $from)))
        (local.set $count (select (local.get $count) (i32.const 16) (i32.lt_u (local.get $count) (i32.const 16))))
        (local.set $within (i32.sub (i32.shl (i32.const 1) (local.get $count)) (i32.const 1)))
        (if (i32.and
              (local.get $within)
              (i8x16.bitmask (i8x16.lt_u (local.get $bytes) (i8x16.splat (i32.const 0x20)))))
          (then
            ;; Control characters hardly ever are in the JSON of a row.
            (global.set $at (local.get $at))
            (call $escapeEach (local.get $from) (i32.add (local.get $from) (local.get $count)))
            (local.set $at (global.get $at)))
          (else
            (local.set $quoted (i32.and (local.get $within) (i8x16.bitmask (v128.or
              (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x22)))
              (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x5c)))))))
            (local.set $low (i32.and (local.get $quoted) (i32.const 0xff)))
            (v128.store
              (local.get $at)
              (i8x16.swizzle
                (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
                  (local.get $bytes) (i8x16.splat (i32.const 0x5c)))
                (v128.load (i32.shl (local.get $low) (i32.const 4)))))
            (v128.store offset=8
              (i32.add (local.get $at) (i32.popcnt (local.get $low)))
              (i8x16.swizzle
                (i8x16.shuffle 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
                  (local.get $bytes) (i8x16.splat (i32.const 0x5c)))
                (v128.load (i32.shl (i32.shr_u (local.get $quoted) (i32.const 8)) (i32.const 4)))))
            (local.set $at
              (i32.add (local.get $at) (i32.add (local.get $count) (i32.popcnt (local.get $quoted)))))))
        (local.set $from (i32.add (local.get $from) (local.get $count)))
        (br $next)))
    (global.set $at (local.get $at)))

  ;; Byte by byte; there is one at least.
  (func $escapeEach (param $from i32) (param $to i32)
    (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (local.get $from)))
      (if (i32.lt_u (local.get $byte) (i32.const 0x20))
        (then (call $escapeControl (local.get $byte)))
        (else
          (if (i32.or (i32.eq (local.get $byte) (i32.const 0x22)) (i32.eq (local.get $byte) (i32.const 0x5c)))
            (then (call $byte (i32.const 0x5c))))
          (call $byte (local.get $byte))))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $to)))))

  (func $escapeControl (param $byte i32)
    (local $letter i32)
    (local.set $letter (i32.load8_u offset=0x10e0 (local.get $byte)))
    (call $byte (i32.const 0x5c))
    (if (local.get $letter)
      (then (call $byte (local.get $letter)))
      (else
        (call $byte (i32.const 0x75)) ;; u
        (call $byte (i32.const 0x30))
        (call $byte (i32.const 0x30))
        (call $byte (i32.load8_u offset=0x1100 (i32.shr_u (local.get $byte) (i32.const 4))))
        (call $byte (i32.load8_u offset=0x1100 (i32.and (local.get $byte) (i32.const 0xf)))))))

  ;; Nine digits at a time, because a number of 32 bits is sooner divided than one of 64.
  (func $decimal (param $value i64)
    (local $count i32) (local $power i32)
    (if (i64.ge_u (local.get $value) (i64.const 1_000_000_000))
      (then
        (call $decimal (i64.div_u (local.get $value) (i64.const 1_000_000_000)))
        (call $digits (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 1_000_000_000))) (i32.const 9))
        (return)))
    (local.set $count (i32.const 1))
    (local.set $power (i32.const 10))
    (block $counted
      (loop $next
        (br_if $counted (i32.lt_u (i32.wrap_i64 (local.get $value)) (local.get $power)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (local.set $power (i32.mul (local.get $power) (i32.const 10)))
        (br $next)))
    (call $digits (i32.wrap_i64 (local.get $value)) (local.get $count)))

  ;; The last one first.
  (func $digits (param $value i32) (param $count i32)
    (local $at i32)
    (local.set $at (i32.add (global.get $at) (local.get $count)))
    (global.set $at (local.get $at))
    (loop $next
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 0x30) (i32.rem_u (local.get $value) (i32.const 10))))
      (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  (func $literal (param $text i32) (param $length i32)
    (v128.store (global.get $at) (v128.load (local.get $text)))
    (v128.store offset=16 (global.get $at) (v128.load offset=16 (local.get $text)))
    (global.set $at (i32.add (global.get $at) (local.get $length))))

  (func $byte (param $value i32)
    (i32.store8 (global.get $at) (local.get $value))
    (global.set $at (i32.add (global.get $at) (i32.const 1)))))
