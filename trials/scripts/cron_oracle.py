"""Independent oracle: brute force over minutes with Python's zoneinfo (tzdata from PyPI), by the documented rules
(Debian cron): wildcard hour or minute -> every instant that matches; both fixed -> the wall clock, first showing,
gap -> first moment after the gap. Compares poolder's `next` binary with it, and with croner (which has its own zone data). Both read the zone files of
the system: the first directory of Python, given to `next` in TZDIR. Ends with 1 when anything differs."""
import os, random, subprocess, sys, datetime as dt, zoneinfo
from zoneinfo import ZoneInfo
# BIN: where the programs of lab/ were built. Arguments: the seed, and how many expressions.
NEXT, CRONER = (os.environ.get('BIN', '.') + name for name in ('/next', '/croner_next'))
seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
random.seed(seed)
FILES=next((d for d in zoneinfo.TZPATH if os.path.exists(os.path.join(d,'UTC'))),'')
UTC = dt.timezone.utc
NAMES = {'sun':0,'mon':1,'tue':2,'wed':3,'thu':4,'fri':5,'sat':6}
MON = {m:i+1 for i,m in enumerate('jan feb mar apr may jun jul aug sep oct nov dec'.split())}
def field(text, lo, hi, names=None, dow=False):
    out=set(); star = text.startswith('*')
    for part in text.split(','):
        rng, _, step = part.partition('/'); st = int(step) if step else 1
        num = lambda s: (names or {}).get(s.lower()[:3]) if not s.isdigit() else int(s)
        if rng == '*': a,b = lo, (6 if dow else hi)
        elif '-' in rng:
            x,y = rng.split('-'); a,b = num(x),num(y)
            if dow and b==0 and a>0: b=7
        else:
            a=num(rng); b = (6 if dow else hi) if step else a
        out |= set(range(a,b+1,st))
    if dow: out={d%7 for d in out}
    return out, star
class E:
    def __init__(s,text):
        f=text.split(); assert len(f)==5
        s.mi,ms=field(f[0],0,59); s.ho,hs=field(f[1],0,23); s.dm,s.ds=field(f[2],1,31); s.mo,_=field(f[3],1,12,MON); s.dw,s.ws=field(f[4],0,7,NAMES,True)
        s.fixed = not ms and not hs
    def day(s,d):
        if d.month not in s.mo: return False
        a=d.day in s.dm; b=(d.isoweekday()%7) in s.dw
        return (a and b) if (s.ds or s.ws) else (a or b)
    def match(s,l): return l.minute in s.mi and l.hour in s.ho and s.day(l.date())
def ticks(e, zone, start, end):
    """all ticks in (start,end], seconds"""
    z=ZoneInfo(zone); out=set()
    if not e.fixed:
        # every instant whose wall clock shows a matching minute at second 0 (offsets with seconds: step by second offset)
        t=start
        base=start-(start%60)
        # instants at which local seconds are 0: local offset may have seconds
        t=base-60
        while t<=end+60:
            o=dt.datetime.fromtimestamp(t,z)
            s=t-o.second  # align
            for c in {s, s+60}:
                if start<c<=end:
                    l=dt.datetime.fromtimestamp(c,z)
                    if l.second==0 and e.match(l): out.add(c)
            t+=60
        return sorted(out)
    l=dt.datetime.fromtimestamp(start,z).replace(tzinfo=None,second=0,microsecond=0)-dt.timedelta(days=2)
    stop=dt.datetime.fromtimestamp(end,z).replace(tzinfo=None)+dt.timedelta(days=2)
    day=l.date()
    while day<=stop.date():
        if e.day(day):
            for h in sorted(e.ho):
                for m in sorted(e.mi):
                    w=dt.datetime(day.year,day.month,day.day,h,m)
                    k=w.replace(tzinfo=z,fold=0); u=k.astimezone(UTC); back=u.astimezone(z).replace(tzinfo=None)
                    if back!=w:
                        # gap: first existing moment after it
                        lo,hi=0,30*3600
                        def exists(sec):
                            x=(w+dt.timedelta(seconds=sec)); uu=x.replace(tzinfo=z,fold=0).astimezone(UTC); return uu.astimezone(z).replace(tzinfo=None)==x
                        s=0
                        step=900
                        while not exists(s): s+=step
                        a,b=max(s-step,0),s
                        while b-a>1:
                            mid=(a+b)//2
                            if exists(mid): b=mid
                            else: a=mid
                        u=(w+dt.timedelta(seconds=b)).replace(tzinfo=z,fold=0).astimezone(UTC)
                    c=int(u.timestamp())
                    if start<c<=end: out.add(c)
        day+=dt.timedelta(days=1)
    return sorted(out)
def run(bin, cases):
    text=''.join(f"{e}\t{z}\t{a}\t{n}\n" for e,z,a,n in cases)
    return subprocess.run([bin],input=text,capture_output=True,text=True,env={**os.environ,'TZDIR':FILES}).stdout.split('\n')
# Every zone of the files that both sides read.
ZONES=sorted(z for z in zoneinfo.available_timezones() if z not in ('localtime','Factory','posixrules') and not z.startswith(('posix/','right/')))
def rnd_field(lo,hi,p,dow=False):
    r=random.random()
    if r<p: return '*'
    if r<p+.2: return f"*/{random.randint(1,min(hi,30))}"
    if r<p+.35:
        a=random.randint(lo,hi); b=random.randint(a,hi); return f"{a}-{b}"+(f"/{random.randint(1,5)}" if random.random()<.4 else '')
    if r<p+.45 and not dow: return f"{random.randint(lo,hi)}/{random.randint(1,10)}"
    return ','.join(str(random.randint(lo,hi)) for _ in range(random.randint(1,3)))
def transitions(zone, y0, y1):
    z=ZoneInfo(zone); t=int(dt.datetime(y0,1,1,tzinfo=UTC).timestamp()); end=int(dt.datetime(y1,1,1,tzinfo=UTC).timestamp()); out=[]
    off=lambda t: dt.datetime.fromtimestamp(t,z).utcoffset().total_seconds()
    b=off(t)
    while t<end:
        n=t+86400; a=off(n)
        if a!=b:
            lo,hi=t,n
            while hi-lo>1:
                m=(lo+hi)//2
                if off(m)==b: lo=m
                else: hi=m
            out.append(hi)
        t,b=n,a
    return out
if __name__=='__main__':
    cases=[]; span=[]
    years=[(2022,2031),(2035,2042),(2049,2052),(2097,2099)]
    TR={}
    N=int(sys.argv[2]) if len(sys.argv)>2 else 10000
    while len(cases)<N:
        z=ZONES[len(cases)%len(ZONES)]; y=random.choice(years)
        if (z,y) not in TR: TR[(z,y)]=transitions(z,*y)
        tr=TR[(z,y)]
        if tr and random.random()<.8: c=random.choice(tr); start=c-random.randint(0,12*3600); end=start+36*3600
        else: start=random.randint(int(dt.datetime(y[0],1,1,tzinfo=UTC).timestamp()),int(dt.datetime(y[1],1,1,tzinfo=UTC).timestamp())); end=start+36*3600
        dense=random.random()<.5
        e=' '.join([rnd_field(0,59,.25),rnd_field(0,23,.45 if dense else .15),rnd_field(1,31,.75),rnd_field(1,12,.9),rnd_field(0,7,.75,True)])
        cases.append((e,z,start*1000,300)); span.append((start,end))
    mine=run(NEXT,cases); cron=run(CRONER,cases) if os.path.exists(CRONER) else ['ERR']*len(cases)
    bad=0; cbad=0; compared=0; never=0; ex=[]
    for (e,z,a,n),(s,en),m,c in zip(cases,span,mine,cron):
        if m.startswith('ERR'):
            if 'never' in m: never+=1; continue
            ex.append((e,z,m)); bad+=1; continue
        want=ticks(E(e),z,s,en)
        got=[int(x)//1000 for x in m.split() if int(x)//1000<=en]
        if len(m.split())==300 and int(m.split()[-1])//1000<=en: want=[w for w in want if w<=int(m.split()[-1])//1000]
        compared+=1
        if got!=want: bad+=1; ex.append((e,z,s,'poolder',got[:6],'oracle',want[:6]))
        if not c.startswith('ERR'):
            cg=[int(x)//1000 for x in c.split() if int(x)//1000<=en]
            if cg!=got: cbad+=1
    print(f"{len(ZONES)} zones of {FILES}: compared {compared} (never-firing {never}); poolder differs from the oracle in {bad}; croner differs from poolder in {cbad}")
    for x in ex[:25]: print('  ',x)
    sys.exit(1 if bad else 0)
