// asynq, told what to do as the other contenders are: see bench/protocol/src/lib.rs.
// Its idle poll is set to 10 ms; by default it is 1 s.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

type order struct {
	Work        string `json:"work"`
	URL         string `json:"url"`
	Jobs        int64  `json:"jobs"`
	Concurrency int    `json:"concurrency"`
	Payload     int    `json:"payload"`
	DelayMs     int64  `json:"delay_ms"`
	Seconds     int64  `json:"seconds"`
}

type payload struct {
	N    int64  `json:"n"`
	Data string `json:"data"`
}

var (
	o       order
	data    string
	client  *asynq.Client
	options asynq.RedisConnOpt
	count   atomic.Int64
	once    sync.Once
	first   time.Time
	last    = make(chan time.Time, 1)
	input   = bufio.NewScanner(os.Stdin)
)

func start() { once.Do(func() { first = time.Now() }) }

func hit() {
	start()
	if count.Add(1) == o.Jobs {
		last <- time.Now()
	}
}

func hear(word string) {
	if !input.Scan() || input.Text() != word {
		os.Exit(1)
	}
}

func ready() {
	fmt.Println("ready")
	hear("go")
}

func done(report map[string]any) {
	text, _ := json.Marshal(report)
	fmt.Println("done " + string(text))
	hear("stop")
	os.Exit(0)
}

func notRun(err error) {
	fmt.Println("not-run " + err.Error())
	os.Exit(0)
}

func counted(times []float64) {
	report := map[string]any{"jobs": o.Jobs, "seconds": (<-last).Sub(first).Seconds()}
	if times != nil {
		sort.Float64s(times)
		at := func(share float64) float64 { return times[int(float64(len(times)-1)*share)] }
		report["latency"] = map[string]float64{"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1)}
	}
	done(report)
}

func add(n int64, extra ...asynq.Option) {
	body, _ := json.Marshal(payload{n, data})
	if _, err := client.Enqueue(asynq.NewTask("bench", body), extra...); err != nil {
		notRun(err)
	}
}

func oneByOne(each func()) {
	start()
	var callers sync.WaitGroup
	for caller := int64(0); caller < int64(o.Concurrency); caller++ {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for n := caller; n < o.Jobs; n += int64(o.Concurrency) {
				add(n)
				each()
			}
		}()
	}
	callers.Wait()
}

func work(handler func(payload)) {
	server := asynq.NewServer(options, asynq.Config{
		Concurrency:       o.Concurrency,
		TaskCheckInterval: 10 * time.Millisecond,
		LogLevel:          asynq.ErrorLevel,
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc("bench", func(_ context.Context, task *asynq.Task) error {
		var job payload
		if err := json.Unmarshal(task.Payload(), &job); err != nil {
			return err
		}
		handler(job)
		return nil
	})
	if err := server.Start(mux); err != nil {
		notRun(err)
	}
}

func main() {
	if err := json.Unmarshal([]byte(os.Args[len(os.Args)-1]), &o); err != nil {
		notRun(err)
	}
	var err error
	if options, err = asynq.ParseRedisURI(strings.TrimSuffix(o.URL, "/")); err != nil {
		notRun(err)
	}
	client = asynq.NewClient(options)
	data = strings.Repeat("Poolder carries a job ", o.Payload/22+1)[:max(o.Payload-24, 1)]
	var lock sync.Mutex
	times := []float64{}
	note := func(ms float64) {
		lock.Lock()
		times = append(times, ms)
		lock.Unlock()
		hit()
	}
	switch o.Work {
	case "enqueue", "bulk", "store-ready":
		ready()
		oneByOne(hit)
		counted(nil)
	case "drain":
		oneByOne(func() {})
		once = sync.Once{}
		ready()
		work(func(payload) { hit() })
		counted(nil)
	case "both":
		work(func(payload) { hit() })
		time.Sleep(500 * time.Millisecond)
		ready()
		oneByOne(func() {})
		counted(nil)
	case "pickup":
		sent := make([]time.Time, o.Jobs)
		work(func(job payload) { note(float64(time.Since(sent[job.N]).Microseconds()) / 1000) })
		time.Sleep(500 * time.Millisecond)
		ready()
		for n := range sent {
			sent[n] = time.Now()
			add(int64(n))
			time.Sleep(20 * time.Millisecond)
		}
		counted(times)
	case "delayed":
		work(func(job payload) { note(float64(max(time.Now().UnixMilli()-job.N, 0))) })
		time.Sleep(500 * time.Millisecond)
		ready()
		delay := time.Duration(o.DelayMs) * time.Millisecond
		for range o.Jobs {
			add(time.Now().Add(delay).UnixMilli(), asynq.ProcessIn(delay))
		}
		counted(times)
	case "idle":
		work(func(payload) {})
		time.Sleep(2 * time.Second)
		ready()
		time.Sleep(time.Duration(o.Seconds) * time.Second)
		done(map[string]any{"jobs": 0, "seconds": o.Seconds})
	default:
		notRun(fmt.Errorf("not compared"))
	}
}
