package ar_test

import (
	"runtime"
	"testing"

	"railyard/internal/ar"
	"railyard/internal/ar/artest"
)

func BenchmarkPlanAllTrains(b *testing.B) {
	top, runs, trains := artest.Company()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	var keep []ar.Itinerary
	for b.Loop() {
		keep = keep[:0]
		for _, coaches := range trains {
			it, err := ar.Plan(ar.Input{Topology: top, Coaches: coaches, Running: runs})
			if err != nil {
				b.Fatal(err)
			}
			keep = append(keep, it)
		}
	}
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.Sys)/(1<<20), "MB-from-system")
	b.ReportMetric(float64(len(keep)), "trains")
}

func BenchmarkPlanOneTrain(b *testing.B) {
	top, runs, trains := artest.Company()
	for b.Loop() {
		if _, err := ar.Plan(ar.Input{Topology: top, Coaches: trains[7], Running: runs}); err != nil {
			b.Fatal(err)
		}
	}
}
