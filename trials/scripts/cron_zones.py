"""Every zone of the tzdata that Python has against the zones that Poolder reads: noon of each day from 2026 to 2028, and each first of a month to 2099."""
import os, subprocess, datetime as dt
from zoneinfo import ZoneInfo, available_timezones
N=os.environ.get('BIN','.')+'/next'; UTC=dt.timezone.utc
zs=sorted(z for z in available_timezones() if z not in('localtime','Factory') and not z.startswith(('posix/','right/')))
for label,start,n,expr in (('daily 2026-2028',dt.datetime(2026,1,1,tzinfo=UTC),1000,'0 12 * * *'),('monthly to 2099',dt.datetime(2026,1,1,tzinfo=UTC),870,'0 12 1 * *'),('daily 2015-2025',dt.datetime(2015,1,1,tzinfo=UTC),4000,'0 12 * * *')):
    a=int(start.timestamp()*1000)
    out=subprocess.run([N],input=''.join(f'{expr}\t{z}\t{a}\t{n}\n' for z in zs),capture_output=True,text=True).stdout.split('\n')
    bad={}; unknown=[]
    for z,l in zip(zs,out):
        if l.startswith('ERR'): unknown.append(z); continue
        zi=ZoneInfo(z)
        for x in l.split():
            t=dt.datetime.fromtimestamp(int(x)/1000,zi)
            if (t.hour,t.minute)!=(12,0): bad.setdefault(z,[]).append(t.isoformat())
    print(label,'zones',len(zs),'unknown',unknown,'zones that differ',len(bad))
    for z,b in sorted(bad.items()): print('  ',z,len(b),'ticks at another hour, first',b[0])
