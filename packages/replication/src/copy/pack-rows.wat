;; Copied rows, cut into values (packages/core/src/byte-rows.ts), become their slots (packages/storage/src/record-slot.ts and
;; record-format.ts) and the bodies of their ops (packages/core/src/op.ts). Sixteen bytes are looked at together.
;;
;; row-program.ts fills the memory and says what is where; it also packs the rows that this program leaves alone. Compiled
;; into pack-rows-program.ts by `UPDATE=1 npx vitest run test/wasm.test.ts`.
(module
  (memory (export "memory") 34 34)

  ;; 0x0000: the program's own texts. 16 bytes each may be read behind them, because $copy does.
  (data (i32.const 0x0000) "\02subkey\00")
  (data (i32.const 0x0010) "\02data\00")
  ;; Letters of the control characters that have one.
  (data (i32.const 0x0020) "\00\00\00\00\00\00\00\00btn\00fr\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 0x0040) "0123456789abcdef")
  ;; 0x1000: for each set of eight bytes, as the bits of a number, sixteen indices: the eight bytes in their order, and
  ;; before each of the set a backslash, which is byte 8.
  ;; 0x2000: sixteen tables of the CRC-32, 1 KiB each, the one for the last byte first.

  ;; 0x40000 where values start, 0x50000 where they end; 0x60000 where slots end, 0x64000 where bodies end, 0x68000 checksums.
  ;; 0x90000 slots, 0x110000 bodies. Stores may go beyond what they mean: what is written next stands there.
  (global $slots i32 (i32.const 0x90000))
  (global $slotsMax i32 (i32.const 0x10f000))
  (global $bodies i32 (i32.const 0x110000))
  (global $bodiesMax i32 (i32.const 0x21f000))

  ;; Where the next slot and the next body are written, and the number of bodies so far.
  (global $slot (mut i32) (i32.const 0))
  (global $body (mut i32) (i32.const 0))
  (global $ops (mut i32) (i32.const 0))
  ;; Of the row that is packed: its values' places, and its key.
  (global $origin (mut i32) (i32.const 0))
  (global $starts (mut i32) (i32.const 0))
  (global $key (mut i32) (i32.const 0))
  (global $keyBytes (mut i32) (i32.const 0))

  ;; Packs rows one after the other, up to one that it does not know, or has no room for.
  ;; $plan: columns | key column | head of the record, its bytes | tail of the record, its bytes | head of the subkey, its
  ;; bytes | bytes of a slot beside its values
  ;; $outline: of each row, the number of its ops; of each op its bucket, the bucket's bytes, and its object (see $op).
  ;; $origin: where the first byte of all values would stand. $from: where the first row starts, as values say it.
  ;; Returns the number of rows.
  (func (export "pack")
    (param $plan i32) (param $outline i32) (param $row i32) (param $count i32) (param $origin i32) (param $from i32)
    (result i32)
    (local $stride i32) (local $end i32) (local $done i32)
    (global.set $slot (global.get $slots))
    (global.set $body (global.get $bodies))
    (global.set $ops (i32.const 0))
    (global.set $origin (local.get $origin))
    (local.set $stride (i32.shl (i32.load (local.get $plan)) (i32.const 2)))
    (global.set $starts (i32.add (i32.const 0x40000) (i32.mul (local.get $row) (local.get $stride))))
    (loop $next
      (if (i32.eq (local.get $done) (local.get $count)) (then (return (local.get $done))))
      (local.set $end (i32.load (i32.add (global.get $starts) (i32.add (local.get $stride) (i32.const 0xfffc)))))
      (if (i32.eqz (call $fits (local.get $plan) (local.get $outline) (i32.sub (local.get $end) (local.get $from))))
        (then (return (local.get $done))))
      (if (i32.eqz (call $pack (local.get $plan) (local.get $outline) (local.get $done)))
        (then (return (local.get $done))))
      (local.set $from (local.get $end))
      (local.set $outline
        (i32.add (local.get $outline)
          (i32.add (i32.const 4) (i32.mul (i32.load (local.get $outline)) (i32.const 12)))))
      (global.set $starts (i32.add (global.get $starts) (local.get $stride)))
      (local.set $done (i32.add (local.get $done) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; Whether there is room for a row of so many bytes, whatever its values are.
  (func $fits (param $plan i32) (param $outline i32) (param $bytes i32) (result i32)
    (local $slot i32) (local $body i32) (local $left i32) (local $object i32)
    (local.set $slot (i32.add (i32.load offset=32 (local.get $plan)) (local.get $bytes)))
    (local.set $left (i32.load (local.get $outline)))
    (loop $next
      (if (local.get $left)
        (then
          (local.set $object (i32.load offset=12 (local.get $outline)))
          (local.set $slot (i32.add (local.get $slot)
            (i32.add (i32.load offset=8 (local.get $outline))
              (i32.add (i32.add (i32.load offset=12 (local.get $object)) (local.get $bytes)) (i32.const 32)))))
          (local.set $body (i32.add (local.get $body)
            (i32.add (i32.load offset=24 (local.get $object))
              (i32.mul (i32.load offset=28 (local.get $object)) (local.get $bytes)))))
          (local.set $outline (i32.add (local.get $outline) (i32.const 12)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $next))))
    (i32.and
      (i32.le_u (i32.add (global.get $slot) (local.get $slot)) (global.get $slotsMax))
      (i32.le_u (i32.add (global.get $body) (local.get $body)) (global.get $bodiesMax))))

  ;; One row. Returns 0, and leaves nothing, if it has to be packed elsewhere.
  (func $pack (param $plan i32) (param $outline i32) (param $index i32) (result i32)
    (local $at i32) (local $body i32) (local $ops i32) (local $left i32) (local $object i32) (local $end i32)
    (local $column i32)
    (local.set $column (i32.add (global.get $starts) (i32.shl (i32.load offset=4 (local.get $plan)) (i32.const 2))))
    (if (i32.lt_s (i32.load (local.get $column)) (i32.const 0)) (then (return (i32.const 0))))
    (global.set $key (i32.add (global.get $origin) (i32.load (local.get $column))))
    (global.set $keyBytes (i32.sub (i32.load offset=0x10000 (local.get $column)) (i32.load (local.get $column))))
    (if (i32.eqz (call $isKey (global.get $key) (global.get $keyBytes))) (then (return (i32.const 0))))

    (local.set $at (global.get $slot))
    (i32.store8 (local.get $at) (i32.const 0))
    (i32.store16 offset=1 (local.get $at) (global.get $keyBytes))
    (local.set $at (call $copy (global.get $key) (global.get $keyBytes) (i32.add (local.get $at) (i32.const 3))))
    (local.set $at (call $copy (i32.load offset=8 (local.get $plan)) (i32.load offset=12 (local.get $plan)) (local.get $at)))

    (local.set $left (i32.load (local.get $outline)))
    (i32.store8 (local.get $at) (local.get $left))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $body (global.get $body))
    (local.set $ops (global.get $ops))
    (loop $next
      (if (local.get $left)
        (then
          (local.set $object (i32.load offset=12 (local.get $outline)))
          (local.set $at
            (call $sized (i32.load offset=4 (local.get $outline)) (i32.load offset=8 (local.get $outline)) (i32.const 0) (local.get $at)))
          (local.set $at
            (call $sized (i32.load offset=8 (local.get $object)) (i32.load offset=12 (local.get $object)) (i32.const 0) (local.get $at)))
          (local.set $column (i32.add (global.get $starts) (i32.load offset=20 (local.get $object))))
          (local.set $at
            (call $sized
              (call $placeOf (local.get $column))
              (call $bytesOf (local.get $column))
              (i32.const 0)
              (local.get $at)))
          (local.set $end (call $op (local.get $plan) (local.get $object) (local.get $body)))
          (if (i32.eqz (local.get $end)) (then (return (i32.const 0))))
          (i32.store offset=0x64000 (i32.shl (local.get $ops) (i32.const 2)) (local.get $end))
          (i32.store offset=0x68000 (i32.shl (local.get $ops) (i32.const 2))
            (call $seal (local.get $body) (local.get $end) (local.get $object)))
          (local.set $body (local.get $end))
          (local.set $ops (i32.add (local.get $ops) (i32.const 1)))
          (local.set $outline (i32.add (local.get $outline) (i32.const 12)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $next))))

    (local.set $at (call $copy (i32.load offset=16 (local.get $plan)) (i32.load offset=20 (local.get $plan)) (local.get $at)))
    (local.set $left (i32.load (local.get $plan)))
    (local.set $column (global.get $starts))
    (loop $next
      (if (i32.lt_s (i32.load (local.get $column)) (i32.const 0))
        (then
          (i32.store8 (local.get $at) (i32.const 0))
          (local.set $at (i32.add (local.get $at) (i32.const 1))))
        (else
          (local.set $at
            (call $sized
              (i32.add (global.get $origin) (i32.load (local.get $column)))
              (i32.sub (i32.load offset=0x10000 (local.get $column)) (i32.load (local.get $column)))
              (i32.const 2)
              (local.get $at)))))
      (local.set $column (i32.add (local.get $column) (i32.const 4)))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))

    (i32.store offset=0x60000 (i32.shl (local.get $index) (i32.const 2)) (local.get $at))
    (global.set $slot (local.get $at))
    (global.set $body (local.get $body))
    (global.set $ops (local.get $ops))
    (i32.const 1))

  ;; Whether the text of the key column is the key, too: core's record-key.ts.
  (func $isKey (param $from i32) (param $bytes i32) (result i32)
    (local $at i32) (local $odd v128)
    (if (i32.gt_u (local.get $bytes) (i32.const 256)) (then (return (i32.const 0))))
    (if (i32.ge_u (local.get $bytes) (i32.const 7))
      (then
        (if (i64.eq
              (i64.and (i64.load (local.get $from)) (i64.const 0x00ff_ffff_ffff_ffff))
              (i64.const 0x003a_3635_3261_6873)) ;; sha256:
          (then (return (i32.const 0))))))
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $bytes))
        (then
          (local.set $odd (v128.load (i32.add (local.get $from) (local.get $at))))
          (if (i32.and
                (call $within (i32.sub (local.get $bytes) (local.get $at)))
                (i8x16.bitmask (v128.or
                  (i8x16.eq (local.get $odd) (i8x16.splat (i32.const 0x5c)))
                  (i8x16.eq (local.get $odd) (i8x16.splat (i32.const 0x1f))))))
            (then (return (i32.const 0))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next))))
    (i32.const 1))

  ;; Of a value that may be null: nothing, anywhere.
  (func $placeOf (param $column i32) (result i32)
    (select
      (i32.const 0)
      (i32.add (global.get $origin) (i32.load (local.get $column)))
      (i32.lt_s (i32.load (local.get $column)) (i32.const 0))))

  (func $bytesOf (param $column i32) (result i32)
    (select
      (i32.const 0)
      (i32.sub (i32.load offset=0x10000 (local.get $column)) (i32.load (local.get $column)))
      (i32.lt_s (i32.load (local.get $column)) (i32.const 0))))

  ;; A put. $object: head of the body up to the id's length, its bytes | type, its bytes | CRC of the head | place of the id's
  ;; column | bytes of a body beside its values | how many a byte of a row may become | members; of each member its name in
  ;; JSON, the name's bytes, place of the column, form (see $value). Returns where it ends, or 0.
  (func $op (param $plan i32) (param $object i32) (param $at i32) (result i32)
    (local $data i32) (local $column i32) (local $left i32) (local $bytes i32)
    (local.set $at (call $copy (i32.load (local.get $object)) (i32.load offset=4 (local.get $object)) (local.get $at)))
    (local.set $column (i32.add (global.get $starts) (i32.load offset=20 (local.get $object))))
    (local.set $bytes (call $bytesOf (local.get $column)))
    (i32.store (local.get $at) (i32.add (local.get $bytes) (i32.const 1)))
    (local.set $at
      (call $copy
        (call $placeOf (local.get $column))
        (local.get $bytes)
        (i32.add (local.get $at) (i32.const 4))))
    (i32.store8 (local.get $at) (i32.const 0))
    (local.set $at (call $copy (i32.const 0x0000) (i32.const 8) (i32.add (local.get $at) (i32.const 1))))
    (i32.store (local.get $at)
      (i32.add (i32.add (i32.load offset=28 (local.get $plan)) (global.get $keyBytes)) (i32.const 1)))
    (local.set $at
      (call $copy
        (i32.load offset=24 (local.get $plan)) (i32.load offset=28 (local.get $plan))
        (i32.add (local.get $at) (i32.const 4))))
    (local.set $at (call $copy (global.get $key) (global.get $keyBytes) (local.get $at)))
    (i32.store8 (local.get $at) (i32.const 0))
    (local.set $data
      (i32.add (i32.const 4) (call $copy (i32.const 0x0010) (i32.const 6) (i32.add (local.get $at) (i32.const 1)))))
    (local.set $at (local.get $data))
    (local.set $left (i32.load offset=32 (local.get $object)))
    (local.set $object (i32.add (local.get $object) (i32.const 36)))
    (loop $next
      (if (local.get $left)
        (then
          (local.set $at (call $copy (i32.load (local.get $object)) (i32.load offset=4 (local.get $object)) (local.get $at)))
          (local.set $column (i32.add (global.get $starts) (i32.load offset=8 (local.get $object))))
          (if (i32.lt_s (i32.load (local.get $column)) (i32.const 0))
            (then
              (i32.store (local.get $at) (i32.const 0x6c6c756e)) ;; null
              (local.set $at (i32.add (local.get $at) (i32.const 4))))
            (else
              (local.set $at
                (call $value
                  (i32.load offset=12 (local.get $object))
                  (i32.add (global.get $origin) (i32.load (local.get $column)))
                  (i32.add (global.get $origin) (i32.load offset=0x10000 (local.get $column)))
                  (local.get $at)))
              (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))))
          (local.set $object (i32.add (local.get $object) (i32.const 16)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $next))))
    ;; The comma before the first member is the brace.
    (if (i32.eq (local.get $at) (local.get $data)) (then (local.set $at (i32.add (local.get $at) (i32.const 1)))))
    (i32.store8 (local.get $data) (i32.const 0x7b))
    (i32.store16 (local.get $at) (i32.const 0x7d)) ;; } and the zero behind it
    (i32.store (i32.sub (local.get $data) (i32.const 4))
      (i32.add (i32.sub (local.get $at) (local.get $data)) (i32.const 2)))
    (i32.add (local.get $at) (i32.const 2)))

  ;; The checksum of a body, which is put into it.
  (func $seal (param $from i32) (param $to i32) (param $object i32) (result i32)
    (local $checksum i32)
    (local.set $checksum
      (call $crc
        (i32.load offset=16 (local.get $object))
        (i32.add (local.get $from) (i32.load offset=4 (local.get $object)))
        (local.get $to)))
    (i32.store offset=10 (local.get $from) (local.get $checksum)) ;; 10 "checksum" 00
    (local.get $checksum))

  ;; CRC-32 of what $state is the CRC of, and the bytes from $from.
  (func $crc (param $state i32) (param $from i32) (param $to i32) (result i32)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local.set $state (i32.xor (local.get $state) (i32.const -1)))
    (block $done
      (loop $next
        (br_if $done (i32.lt_u (i32.sub (local.get $to) (local.get $from)) (i32.const 16)))
        (local.set $a (i32.xor (local.get $state) (i32.load (local.get $from))))
        (local.set $b (i32.load offset=4 (local.get $from)))
        (local.set $c (i32.load offset=8 (local.get $from)))
        (local.set $d (i32.load offset=12 (local.get $from)))
        (local.set $state
          (i32.xor
            (i32.xor
              (i32.xor
                (i32.xor
                  (i32.load offset=0x5c00 (i32.and (i32.shl (local.get $a) (i32.const 2)) (i32.const 0x3fc)))
                  (i32.load offset=0x5800 (i32.and (i32.shr_u (local.get $a) (i32.const 6)) (i32.const 0x3fc))))
                (i32.xor
                  (i32.load offset=0x5400 (i32.and (i32.shr_u (local.get $a) (i32.const 14)) (i32.const 0x3fc)))
                  (i32.load offset=0x5000 (i32.and (i32.shr_u (local.get $a) (i32.const 22)) (i32.const 0x3fc)))))
              (i32.xor
                (i32.xor
                  (i32.load offset=0x4c00 (i32.and (i32.shl (local.get $b) (i32.const 2)) (i32.const 0x3fc)))
                  (i32.load offset=0x4800 (i32.and (i32.shr_u (local.get $b) (i32.const 6)) (i32.const 0x3fc))))
                (i32.xor
                  (i32.load offset=0x4400 (i32.and (i32.shr_u (local.get $b) (i32.const 14)) (i32.const 0x3fc)))
                  (i32.load offset=0x4000 (i32.and (i32.shr_u (local.get $b) (i32.const 22)) (i32.const 0x3fc))))))
            (i32.xor
              (i32.xor
                (i32.xor
                  (i32.load offset=0x3c00 (i32.and (i32.shl (local.get $c) (i32.const 2)) (i32.const 0x3fc)))
                  (i32.load offset=0x3800 (i32.and (i32.shr_u (local.get $c) (i32.const 6)) (i32.const 0x3fc))))
                (i32.xor
                  (i32.load offset=0x3400 (i32.and (i32.shr_u (local.get $c) (i32.const 14)) (i32.const 0x3fc)))
                  (i32.load offset=0x3000 (i32.and (i32.shr_u (local.get $c) (i32.const 22)) (i32.const 0x3fc)))))
              (i32.xor
                (i32.xor
                  (i32.load offset=0x2c00 (i32.and (i32.shl (local.get $d) (i32.const 2)) (i32.const 0x3fc)))
                  (i32.load offset=0x2800 (i32.and (i32.shr_u (local.get $d) (i32.const 6)) (i32.const 0x3fc))))
                (i32.xor
                  (i32.load offset=0x2400 (i32.and (i32.shr_u (local.get $d) (i32.const 14)) (i32.const 0x3fc)))
                  (i32.load offset=0x2000 (i32.and (i32.shr_u (local.get $d) (i32.const 22)) (i32.const 0x3fc))))))))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (br $next)))
    (loop $next
      (if (i32.lt_u (local.get $from) (local.get $to))
        (then
          (local.set $state
            (i32.xor
              (i32.shr_u (local.get $state) (i32.const 8))
              (i32.load offset=0x2000
                (i32.shl
                  (i32.and (i32.xor (local.get $state) (i32.load8_u (local.get $from))) (i32.const 0xff))
                  (i32.const 2)))))
          (local.set $from (i32.add (local.get $from) (i32.const 1)))
          (br $next))))
    (i32.xor (local.get $state) (i32.const -1)))

  ;; A value in JSON: packages/sync-rules/src/types/json-bytes.ts, whose forms are numbered here. Returns 0 for what it does
  ;; not know.
  (func $value (param $form i32) (param $from i32) (param $to i32) (param $at i32) (result i32)
    (block $moment
      (block $date
        (block $real
          (block $boolean
            (block $plain
              (block $text
                (br_table $text $plain $boolean $real $date $moment (i32.and (local.get $form) (i32.const 0xff))))
              (i32.store8 (local.get $at) (i32.const 0x22))
              (local.set $at (call $escape (local.get $from) (local.get $to) (i32.add (local.get $at) (i32.const 1))))
              (i32.store8 (local.get $at) (i32.const 0x22))
              (return (i32.add (local.get $at) (i32.const 1))))
            (return (call $copy (local.get $from) (i32.sub (local.get $to) (local.get $from)) (local.get $at))))
          (i32.store8 (local.get $at)
            (i32.add (i32.const 0x30)
              (i32.and
                (i32.eq (i32.sub (local.get $to) (local.get $from)) (i32.const 1))
                (i32.eq (i32.load8_u (local.get $from)) (i32.const 0x74))))) ;; t
          (return (i32.add (local.get $at) (i32.const 1))))
        (return (call $real (local.get $from) (local.get $to) (local.get $at))))
      (if (i32.or
            (i32.eq (local.get $from) (local.get $to))
            (i32.eqz (call $isDigit (i32.load8_u (local.get $from)))))
        (then (return (i32.const 0))))
      (i32.store8 (local.get $at) (i32.const 0x22))
      (local.set $at
        (call $copy (local.get $from) (i32.sub (local.get $to) (local.get $from)) (i32.add (local.get $at) (i32.const 1))))
      (i32.store8 (local.get $at) (i32.const 0x22))
      (return (i32.add (local.get $at) (i32.const 1))))
    (call $moment (local.get $form) (local.get $from) (local.get $to) (local.get $at)))

  ;; Text as it stands in quotes.
  (func $escape (param $from i32) (param $to i32) (param $at i32) (result i32)
    (local $bytes v128) (local $count i32) (local $control i32) (local $quoted i32) (local $low i32) (local $within i32)
    (loop $next
      (if (i32.ge_u (local.get $from) (local.get $to)) (then (return (local.get $at))))
      (local.set $bytes (v128.load (local.get $from)))
      (local.set $count (i32.sub (local.get $to) (local.get $from)))
      (local.set $within (call $within (local.get $count)))
      (local.set $count (select (local.get $count) (i32.const 16) (i32.lt_u (local.get $count) (i32.const 16))))
      (local.set $quoted (i32.and (local.get $within) (i8x16.bitmask (v128.or
        (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x22)))
        (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x5c)))))))
      (local.set $control
        (i32.and (local.get $within) (i8x16.bitmask (i8x16.lt_u (local.get $bytes) (i8x16.splat (i32.const 0x20))))))
      (if (i32.eqz (i32.or (local.get $quoted) (local.get $control)))
        (then
          (v128.store (local.get $at) (local.get $bytes))
          (local.set $at (i32.add (local.get $at) (local.get $count))))
        (else
          (if (local.get $control)
            (then
              (local.set $at (call $escapeEach (local.get $from) (i32.add (local.get $from) (local.get $count)) (local.get $at))))
            (else
              (local.set $low (i32.and (local.get $quoted) (i32.const 0xff)))
              (v128.store
                (local.get $at)
                (i8x16.swizzle
                  (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
                    (local.get $bytes) (i8x16.splat (i32.const 0x5c)))
                  (v128.load offset=0x1000 (i32.shl (local.get $low) (i32.const 4)))))
              (v128.store offset=8
                (i32.add (local.get $at) (i32.popcnt (local.get $low)))
                (i8x16.swizzle
                  (i8x16.shuffle 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
                    (local.get $bytes) (i8x16.splat (i32.const 0x5c)))
                  (v128.load offset=0x1000 (i32.shl (i32.shr_u (local.get $quoted) (i32.const 8)) (i32.const 4)))))
              (local.set $at
                (i32.add (local.get $at) (i32.add (local.get $count) (i32.popcnt (local.get $quoted)))))))))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (br $next))
    (unreachable))

  ;; Byte by byte; there is one at least.
  (func $escapeEach (param $from i32) (param $to i32) (param $at i32) (result i32)
    (local $byte i32) (local $letter i32)
    (loop $next
      (local.set $byte (i32.load8_u (local.get $from)))
      (local.set $letter (local.get $byte))
      (if (i32.lt_u (local.get $byte) (i32.const 0x20))
        (then (local.set $letter (i32.load8_u offset=0x0020 (local.get $byte)))))
      (if (i32.or
            (i32.lt_u (local.get $byte) (i32.const 0x20))
            (i32.or (i32.eq (local.get $byte) (i32.const 0x22)) (i32.eq (local.get $byte) (i32.const 0x5c))))
        (then
          (i32.store8 (local.get $at) (i32.const 0x5c))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))))
      (if (local.get $letter)
        (then
          (i32.store8 (local.get $at) (local.get $letter))
          (local.set $at (i32.add (local.get $at) (i32.const 1))))
        (else
          (i32.store (local.get $at) (i32.const 0x00303075)) ;; u00
          (i32.store8 offset=3 (local.get $at) (i32.load8_u offset=0x0040 (i32.shr_u (local.get $byte) (i32.const 4))))
          (i32.store8 offset=4 (local.get $at) (i32.load8_u offset=0x0040 (i32.and (local.get $byte) (i32.const 0xf))))
          (local.set $at (i32.add (local.get $at) (i32.const 5)))))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $to))))
    (local.get $at))

  ;; `12`, `-0.125`: at most 15 digits; no zero too many in front or behind, nothing near zero.
  (func $real (param $from i32) (param $to i32) (param $at i32) (result i32)
    (local $first i32) (local $read i32) (local $point i32) (local $significant i32) (local $byte i32) (local $end i32)
    (if (i32.eq (local.get $from) (local.get $to)) (then (return (i32.const 0))))
    (local.set $first (i32.add (local.get $from) (i32.eq (i32.load8_u (local.get $from)) (i32.const 0x2d)))) ;; -
    (if (i32.or
          (i32.eq (local.get $first) (local.get $to))
          (i32.gt_s (i32.sub (local.get $to) (local.get $first)) (i32.const 16)))
      (then (return (i32.const 0))))
    (local.set $point (local.get $to))
    (local.set $read (local.get $first))
    (loop $next
      (local.set $byte (i32.load8_u (local.get $read)))
      (if (i32.and (i32.eq (local.get $byte) (i32.const 0x2e)) (i32.eq (local.get $point) (local.get $to)))
        (then (local.set $point (local.get $read)))
        (else
          (if (i32.eqz (call $isDigit (local.get $byte))) (then (return (i32.const 0))))
          (if (i32.and (i32.ne (local.get $byte) (i32.const 0x30)) (i32.eqz (local.get $significant)))
            (then (local.set $significant (local.get $read))))))
      (local.set $read (i32.add (local.get $read) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $read) (local.get $to))))
    (if (i32.or (i32.eqz (local.get $significant)) (i32.eq (local.get $point) (local.get $first)))
      (then (return (i32.const 0))))
    (if (i32.gt_u
          (i32.sub (i32.sub (local.get $to) (local.get $first)) (i32.ne (local.get $point) (local.get $to)))
          (i32.const 15))
      (then (return (i32.const 0))))
    (if (i32.and
          (i32.eq (i32.load8_u (local.get $first)) (i32.const 0x30))
          (i32.ne (local.get $point) (i32.add (local.get $first) (i32.const 1))))
      (then (return (i32.const 0))))
    (local.set $end (call $copy (local.get $from) (i32.sub (local.get $to) (local.get $from)) (local.get $at)))
    (if (i32.eq (local.get $point) (local.get $to))
      (then
        (i32.store16 (local.get $end) (i32.const 0x302e)) ;; .0
        (return (i32.add (local.get $end) (i32.const 2)))))
    (if (i32.or
          (i32.eq (i32.load8_u (i32.sub (local.get $to) (i32.const 1))) (i32.const 0x30))
          (i32.or
            (i32.eq (local.get $point) (i32.sub (local.get $to) (i32.const 1)))
            (i32.gt_s (i32.sub (local.get $significant) (local.get $point)) (i32.const 6))))
      (then (return (i32.const 0))))
    (local.get $end))

  ;; `2024-03-04 05:06:07.89`, with `+00` behind it or without.
  ;; $form: 5, and above it the zone to put behind (a letter, or none), whether a T goes in between, and how many digits.
  (func $moment (param $form i32) (param $from i32) (param $to i32) (param $at i32) (result i32)
    (local $read i32) (local $end i32) (local $digits i32)
    (if (i32.or
          (i32.lt_s (i32.sub (local.get $to) (local.get $from)) (i32.const 19))
          (i32.or
            (i32.ne (i32.load8_u offset=4 (local.get $from)) (i32.const 0x2d))
            (i32.ne (i32.load8_u offset=10 (local.get $from)) (i32.const 0x20))))
      (then (return (i32.const 0))))
    (local.set $end (local.get $to))
    (if (i32.eq
          (i32.and (i32.load (i32.sub (local.get $to) (i32.const 4))) (i32.const 0xffff_ff00))
          (i32.const 0x3030_2b00)) ;; +00
      (then (local.set $end (i32.sub (local.get $to) (i32.const 3)))))
    (if (i32.lt_s (i32.sub (local.get $end) (local.get $from)) (i32.const 19)) (then (return (i32.const 0))))
    (if (i32.gt_s (i32.sub (local.get $end) (local.get $from)) (i32.const 19))
      (then
        (if (i32.ne (i32.load8_u offset=19 (local.get $from)) (i32.const 0x2e)) (then (return (i32.const 0))))
        (local.set $read (i32.add (local.get $from) (i32.const 20)))
        (loop $next
          (if (i32.lt_u (local.get $read) (local.get $end))
            (then
              (if (i32.eqz (call $isDigit (i32.load8_u (local.get $read)))) (then (return (i32.const 0))))
              (local.set $read (i32.add (local.get $read) (i32.const 1)))
              (br $next))))))
    (i32.store8 (local.get $at) (i32.const 0x22))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (i32.and (local.get $form) (i32.const 0x10000))
      (then
        (drop (call $copy (local.get $from) (i32.const 19) (local.get $at)))
        (i32.store8 offset=10 (local.get $at) (i32.const 0x54)) ;; T
        (local.set $at (i32.add (local.get $at) (i32.const 19)))
        (local.set $digits (i32.shr_u (local.get $form) (i32.const 24)))
        (if (local.get $digits)
          (then
            (i32.store8 (local.get $at) (i32.const 0x2e))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $read (i32.add (local.get $from) (i32.const 20)))
            (loop $next
              (i32.store8 (local.get $at)
                (select
                  (i32.load8_u (local.get $read))
                  (i32.const 0x30)
                  (i32.lt_s (local.get $read) (local.get $end))))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (local.set $read (i32.add (local.get $read) (i32.const 1)))
              (br_if $next (local.tee $digits (i32.sub (local.get $digits) (i32.const 1))))))))
      (else
        (local.set $at (call $copy (local.get $from) (i32.sub (local.get $end) (local.get $from)) (local.get $at)))))
    (if (i32.and (local.get $form) (i32.const 0xff00))
      (then
        (i32.store8 (local.get $at) (i32.shr_u (local.get $form) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))))
    (i32.store8 (local.get $at) (i32.const 0x22))
    (i32.add (local.get $at) (i32.const 1)))

  (func $isDigit (param $byte i32) (result i32)
    (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x30)) (i32.const 10)))

  ;; A bit for each of the next sixteen bytes that is among so many.
  (func $within (param $bytes i32) (result i32)
    (select
      (i32.sub (i32.shl (i32.const 1) (local.get $bytes)) (i32.const 1))
      (i32.const 0xffff)
      (i32.lt_u (local.get $bytes) (i32.const 16))))

  ;; Length, plus $bias, seven bits a byte; then the bytes.
  (func $sized (param $from i32) (param $bytes i32) (param $bias i32) (param $at i32) (result i32)
    (local $length i32)
    (local.set $length (i32.add (local.get $bytes) (local.get $bias)))
    (loop $next
      (if (i32.gt_u (local.get $length) (i32.const 0x7f))
        (then
          (i32.store8 (local.get $at) (i32.or (local.get $length) (i32.const 0x80)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $length (i32.shr_u (local.get $length) (i32.const 7)))
          (br $next))))
    (i32.store8 (local.get $at) (local.get $length))
    (call $copy (local.get $from) (local.get $bytes) (i32.add (local.get $at) (i32.const 1))))

  ;; Sixteen bytes at a time. Returns where the copy ends.
  (func $copy (param $from i32) (param $bytes i32) (param $at i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (loop $next
      (v128.store (local.get $at) (v128.load (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $end)))
