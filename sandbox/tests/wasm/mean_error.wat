;; A metric by hand: the weighted mean of absolute errors. It shows what the interface of `wit/ansatz.wit` is in memory.
(component
  (core module $code
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (data (i32.const 64) "mean_error")
    (data (i32.const 96) "mae")
    (data (i32.const 128) "there are no rows")

    ;; Memory is only handed out, never taken back: an instance lives for one call.
    (func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $wanted i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $wanted)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $fits
          (i32.ne
            (memory.grow (i32.add (i32.shr_u (local.get $wanted) (i32.const 16)) (i32.const 1)))
            (i32.const -1)))
        unreachable)
      (local.get $at))

    ;; about: name (text), higher-is-better (bool), needs (enum), objective (option of text)
    (func (export "describe") (result i32)
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (i32.const 10))
      (i32.store8 (i32.const 8) (i32.const 0))
      (i32.store8 (i32.const 9) (i32.const 2))
      (i32.store8 (i32.const 12) (i32.const 1))
      (i32.store (i32.const 16) (i32.const 96))
      (i32.store (i32.const 20) (i32.const 3))
      (i32.const 0))

    (func (export "metric")
      (param $truth i32) (param $rows i32) (param $predictions i32) (param $cells i32) (param $columns i32)
      (param $weighted i32) (param $weights i32) (param $weight_count i32)
      (result i32)
      (local $row i32) (local $sum f64) (local $total f64) (local $weight f64)
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
          (local.set $weight (f64.const 1))
          (if (local.get $weighted)
            (then
              (local.set $weight
                (f64.load (i32.add (local.get $weights) (i32.shl (local.get $row) (i32.const 3)))))))
          (local.set $total (f64.add (local.get $total) (local.get $weight)))
          (local.set $sum
            (f64.add
              (local.get $sum)
              (f64.mul
                (local.get $weight)
                (f64.abs
                  (f64.sub
                    (f64.load (i32.add (local.get $truth) (i32.shl (local.get $row) (i32.const 3))))
                    (f64.load (i32.add (local.get $predictions) (i32.shl (local.get $row) (i32.const 3)))))))))
          (local.set $row (i32.add (local.get $row) (i32.const 1)))
          (br $next)))
      (if (f64.eq (local.get $total) (f64.const 0))
        (then
          (i32.store8 (i32.const 32) (i32.const 1))
          (i32.store (i32.const 40) (i32.const 128))
          (i32.store (i32.const 44) (i32.const 17)))
        (else
          (i32.store8 (i32.const 32) (i32.const 0))
          (f64.store (i32.const 40) (f64.div (local.get $sum) (local.get $total)))))
      (i32.const 32)))

  (core instance $inside (instantiate $code))
  (alias core export $inside "memory" (core memory $memory))
  (alias core export $inside "realloc" (core func $realloc))

  (type $needs-shape (enum "label" "probability" "value"))
  (export $needs "needs" (type $needs-shape))
  (type $about-shape (record
    (field "name" string) (field "higher-is-better" bool) (field "needs" $needs) (field "objective" (option string))))
  (export $about "about" (type $about-shape))

  (func (export "describe") (result $about)
    (canon lift (core func $inside "describe") (memory $memory)))
  (func (export "metric")
    (param "truth" (list f64)) (param "predictions" (list f64)) (param "columns" u32) (param "weights" (option (list f64)))
    (result (result f64 (error string)))
    (canon lift (core func $inside "metric") (memory $memory) (realloc (core func $realloc)))))
