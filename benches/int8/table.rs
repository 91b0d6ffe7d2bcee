//! Times, and what they say of the whole trunk.

use std::time::{Duration, Instant};

use gstdensepose::kernels::simd::Isa;

use super::{
    runs::{Run, float, int8},
    trunk::{Layer, Shape},
    units::{Madd, Maddubs, Unit, Vnni256, Vnni512},
};

/// Rounds that take turns, of which the median counts, and the least time that one takes.
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(1);

/// From which gain of the whole trunk on a path in 8 bits would be worth its while.
const WORTH: f64 = 1.5;

/// Seconds with each kernel, `None` where there is none.
struct Times {
    /// With AVX2, and with the best that the processor has.
    float: [Option<f64>; 2],
    bytes: [Option<f64>; 4],
}

fn measure(layer: &Layer) -> Times {
    let avx2 = Isa::available().find(|isa| isa.lanes() == 8);
    let mut runs: Vec<Option<Run>> = vec![avx2.map(|isa| float(isa, *layer)), Some(float(Isa::best(), *layer))];
    if !layer.is_float() {
        runs.extend([int8::<Maddubs>(*layer), int8::<Madd>(*layer), int8::<Vnni256>(*layer), int8::<Vnni512>(*layer)]);
    }
    let mut once: Vec<u32> = Vec::new();
    for run in runs.iter_mut() {
        let mut times = 0;
        if let Some(run) = run {
            run();
            let start = Instant::now();
            while start.elapsed() < ROUND {
                run();
                times += 1;
            }
        }
        once.push(times);
    }
    let mut seconds = vec![Vec::new(); 6];
    for _ in 0..ROUNDS {
        for (i, run) in runs.iter_mut().enumerate() {
            if let Some(run) = run {
                let start = Instant::now();
                (0..once[i]).for_each(|_| run());
                seconds[i].push(start.elapsed().as_secs_f64() / f64::from(once[i]));
            }
        }
    }
    let mut median = seconds.into_iter().map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied()
    });
    let mut next = || median.next().flatten();
    Times { float: [next(), next()], bytes: [next(), next(), next(), next()] }
}

/// A sum of times of float kernels over that of 8-bit kernels, separately for pointwise and depthwise layers.
#[derive(Default, Clone, Copy)]
struct Sum {
    float: [f64; 3],
    bytes: [f64; 3],
}

pub fn print(layers: &[Layer]) {
    println!(
        "\nTimes of one layer in microseconds (float32), and how many times as fast 8-bit kernels are: those with AVX2 \
         beside float32 with AVX2,\nthose with VNNI beside the best float32 ({:?}).\n",
        Isa::best()
    );
    println!(
        "{:<38}{:>6}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "layer", "count", "AVX2", "best", "maddubs", "madd", "VNNI-256", "VNNI-512"
    );
    let mut sums = [Sum::default(); 5];
    let mut multiplications = 0;
    for layer in layers {
        let times = measure(layer);
        multiplications += layer.count * layer.multiplications();
        let [avx2, best] = times.float;
        let base = [avx2, avx2, best, best];
        let microseconds = |time: Option<f64>| time.map_or("-".into(), |time| format!("{:.1}", time * 1e6));
        print!("{:<38}{:>6}{:>10}{:>10}", name(layer), layer.count, microseconds(avx2), microseconds(best));
        for (float, bytes) in base.iter().zip(times.bytes) {
            let ratio = float.zip(bytes).map_or("-".into(), |(float, bytes)| format!("{:.2}", float / bytes));
            print!("{ratio:>10}");
        }
        println!();
        let kind = match layer.shape {
            _ if layer.is_float() => 2,
            Shape::Depthwise { .. } => 1,
            _ => 0,
        };
        let [maddubs, madd, vnni256, vnni512] = times.bytes;
        // Each layer with the better of both lengths of vectors.
        let vnni = vnni256.into_iter().chain(vnni512).reduce(f64::min);
        let chosen = [maddubs, madd, vnni256, vnni512.or(vnni256), vnni];
        for ((sum, bytes), float) in sums.iter_mut().zip(chosen).zip(base.into_iter().chain([best])) {
            let Some(float) = float else { continue };
            sum.float[kind] += float * layer.count as f64;
            sum.bytes[kind] += bytes.unwrap_or(float) * layer.count as f64;
        }
    }
    println!("\nAll layers of the trunk ({:.0} million multiplications), one thread:\n", multiplications as f64 / 1e6);
    println!(
        "{:<28}{:>12}{:>12}{:>12}{:>12}{:>12}  at least {WORTH}",
        "", "float32, ms", "8 bits, ms", "pointwise", "depthwise", "trunk"
    );
    let labels = [Maddubs::NAME, Madd::NAME, Vnni256::NAME, Vnni512::NAME, "VNNI, better of both"];
    for (label, sum) in labels.iter().zip(sums) {
        let (float, bytes) = (sum.float.iter().sum::<f64>(), sum.bytes.iter().sum::<f64>());
        let [pointwise, depthwise] = [0, 1].map(|kind| sum.float[kind] / sum.bytes[kind]);
        println!(
            "{label:<28}{:>12.2}{:>12.2}{pointwise:>12.2}{depthwise:>12.2}{:>12.2}  {}",
            float * 1e3,
            bytes * 1e3,
            float / bytes,
            if float / bytes >= WORTH { "yes" } else { "no" }
        );
    }
}

fn name(layer: &Layer) -> String {
    let Layer { rows, columns, .. } = layer;
    match layer.shape {
        Shape::Stem { channels } => format!("{rows}x{columns} dense 3x3/2 3->{channels}"),
        Shape::Pointwise { depth, columns: 15 } => format!("{rows}x{columns} {depth}->15 (stays float)"),
        Shape::Pointwise { depth, columns: results } => format!("{rows}x{columns} {depth}->{results}"),
        Shape::Depthwise { channels, kernel, stride } => {
            format!("{rows}x{columns} depthwise {channels} {kernel}x{kernel}/{stride}")
        }
    }
}
